import { Avatar, Badge, Button, Loader, NativeSelect, Text, TextInput, VisuallyHidden } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Conversation, ConversationStatus } from '../api.gen'
import { conversations } from '../lib/queries'
import { link } from '../lib/route'
import { initial } from '../lib/text'
import { customerName, Owner, Status, statusWords, Wait, When } from './State'
import { Trouble } from './Trouble'

const statuses = [{ value: '', label: 'Any status' }, ...Object.entries(statusWords).map(([value, label]) => ({ value, label }))]

/** The newest conversations, with a filter. */
export function ConversationList({ selected }: { selected: string | null }) {
  const [status, setStatus] = useState<ConversationStatus | ''>('')
  const [typed, setTyped] = useState('')
  const [q] = useDebouncedValue(typed.trim(), 300)
  const list = useInfiniteQuery({ ...conversations({ status, q }), placeholderData: keepPreviousData })
  const items = list.data?.pages.flatMap((p) => p.items) ?? []
  return (
    <>
      <search className="filters">
        <NativeSelect aria-label="Status" data={statuses} value={status} onChange={(e) => setStatus(e.currentTarget.value as ConversationStatus | '')} />
        <TextInput type="search" aria-label="Search names and messages" placeholder="Name or message" maxLength={200} value={typed} onChange={(e) => setTyped(e.currentTarget.value)} />
      </search>
      {list.isPending && <Loader m="md" size="sm" aria-label="Reading conversations" />}
      {list.error !== null && <Trouble error={list.error} again={list.refetch} />}
      {list.isSuccess && items.length === 0 && (
        <Text p="md" c="dimmed">
          {status === '' && q === '' ? 'No customer has written yet.' : 'No conversation fits.'}
        </Text>
      )}
      <ul className="conversations">
        {items.map((c) => (
          <li key={c.id}>
            <Entry conversation={c} selected={c.id === selected} />
          </li>
        ))}
      </ul>
      {list.hasNextPage && (
        <Button m="md" variant="default" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
          Older conversations
        </Button>
      )}
    </>
  )
}

function Entry({ conversation: c, selected }: { conversation: Conversation; selected: boolean }) {
  const name = customerName(c)
  return (
    <a {...link(`/conversations/${c.id}`)} aria-current={selected ? 'page' : undefined}>
      <Avatar src={secure(c.contact.picture_url)} alt="" imageProps={{ referrerPolicy: 'no-referrer', loading: 'lazy' }} color="gray">
        {initial(c.contact.name)}
      </Avatar>
      <span className="what">
        <span className="line">
          <span className="name" lang={c.contact.language ?? undefined}>
            {name}
          </span>
          <Text component="span" size="xs" c="dimmed" className="end">
            <VisuallyHidden>began </VisuallyHidden>
            <When at={c.created_at} />
          </Text>
        </span>
        <span className="line">
          <Status status={c.status} />
          <Owner conversation={c} />
          {c.waiting_since !== null && <Wait since={c.waiting_since} />}
          {(c.unread ?? 0) > 0 && (
            <Badge className="end" size="sm" tt="none">
              {c.unread}
              <VisuallyHidden> unread</VisuallyHidden>
            </Badge>
          )}
        </span>
      </span>
    </a>
  )
}

/** The address of a picture that browsers may load here: LINE's are all https. */
function secure(url: string | null): string | null {
  return url !== null && url.startsWith('https:') ? url : null
}
