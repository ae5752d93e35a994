import { Anchor, Badge, Button, Code, Loader, Text, Title } from '@mantine/core'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useEffect, useLayoutEffect, useRef } from 'react'
import type { Conversation, Message } from '../api.gen'
import { fate, rows, show, stretches } from '../lib/message'
import { conversation, me, transcript } from '../lib/queries'
import { readUpTo, useRead } from '../lib/read'
import { link } from '../lib/route'
import { truncate } from '../lib/text'
import { customerName, Owner, Status, Wait, When } from './State'
import { Trouble } from './Trouble'

/** A conversation and what was said in it, for reading. */
export function Transcript({ id }: { id: string }) {
  const about = useQuery(conversation(id))
  const list = useInfiniteQuery(transcript(id))
  const messages = list.data?.pages.flatMap((p) => p.items) ?? []
  const heading = useRef<HTMLHeadingElement>(null)
  const end = useEnd(messages.length)
  const who = useQuery(me)
  useRead(id, readUpTo(about.data, messages, who.data?.agent.id))

  const title = about.data === undefined ? 'Conversation' : customerName(about.data)
  useEffect(() => {
    document.title = `${truncate(title, 30)} – Kaiwa`
  }, [title])
  useEffect(() => heading.current?.focus({ preventScroll: true }), [])

  return (
    <>
      <div className="head">
        <Anchor {...link('/')} size="sm">
          Overview
        </Anchor>
        <Title order={1} size="h4" ref={heading} tabIndex={-1} className="name" lang={about.data?.contact.language ?? undefined}>
          {title}
        </Title>
        {about.data !== undefined && <Standing conversation={about.data} />}
      </div>
      {about.error !== null && <Trouble error={about.error} again={about.refetch} />}
      {list.error !== null && about.error === null && <Trouble error={list.error} again={list.refetch} />}
      {list.isPending && <Loader m="md" size="sm" aria-label="Reading the conversation" />}
      <div role="log" aria-label="Messages">
        <ol className="transcript">
          {rows(messages).map((row) => (
            <Row key={row[0]?.id} messages={row} customer={title} language={about.data?.contact.language ?? undefined} />
          ))}
        </ol>
      </div>
      {list.hasNextPage && (
        <Button m="md" variant="default" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
          Later messages
        </Button>
      )}
      {about.data !== undefined && <Traces conversation={about.data} />}
      <div ref={end} />
    </>
  )
}

/** Keeps the end of the page in sight as it grows, for a reader who is there. */
function useEnd(count: number) {
  const end = useRef<HTMLDivElement>(null)
  const there = useRef(true)
  useEffect(() => {
    const watch = new IntersectionObserver(([e]) => (there.current = e?.isIntersecting ?? false), { rootMargin: '100px' })
    if (end.current !== null) {
      watch.observe(end.current)
    }
    return () => watch.disconnect()
  }, [])
  useLayoutEffect(() => {
    if (count > 0 && there.current) {
      end.current?.scrollIntoView({ block: 'end' })
    }
  }, [count])
  return end
}

function Standing({ conversation: c }: { conversation: Conversation }) {
  return (
    <div className="line">
      <Status status={c.status} />
      <Owner conversation={c} />
      {c.waiting_since !== null && <Wait since={c.waiting_since} />}
      {c.contact.customer_id !== null && (
        <Badge color="teal" variant="dot" tt="none">
          Customer {c.contact.customer_id}
        </Badge>
      )}
      {c.contact.friendship === 'blocked' && (
        <Badge color="red" variant="dot" tt="none">
          Has blocked the account
        </Badge>
      )}
    </div>
  )
}

/** One message, or the images of a set in a list of their own. */
function Row({ messages, customer, language }: { messages: Message[]; customer: string; language: string | undefined }) {
  const [first] = messages
  if (first === undefined) {
    return null
  }
  if (messages.length === 1) {
    return <Line message={first} customer={customer} language={language} />
  }
  const total = first.image_set?.total ?? messages.length
  return (
    <li className="message">
      <ol className="album" aria-label={`${messages.length} of ${total} pictures sent together`}>
        {messages.map((m) => (
          <Line key={m.id} message={m} customer={customer} language={language} />
        ))}
      </ol>
    </li>
  )
}

/** What a message quotes; where the original is not known here, that there is one. */
function Quoted({ quote, customer }: { quote: NonNullable<Message['quote']>; customer: string }) {
  if (quote.message_id === null || quote.sender === null) {
    return <blockquote className="quoted">A message that is not known here</blockquote>
  }
  const said = quote.state === 'recalled' ? 'taken back' : (quote.text ?? quote.type)
  return (
    <blockquote className="quoted">
      <strong>{name(quote.sender, customer)}</strong> {truncate(said ?? '', 80)}
    </blockquote>
  )
}

function Line({ message: m, customer, language }: { message: Message; customer: string; language: string | undefined }) {
  const shown = show(m)
  const way = fate(m)
  const bad = m.state === 'failed' || m.state === 'uncertain'
  const side = m.direction === 'inbound' ? 'message' : m.direction === 'outbound' ? 'message ours' : 'message system'
  return (
    <li className={side}>
      <Text size="xs" c="dimmed">
        {sender(m, customer)}
        {shown.as !== null && `, as “${shown.as}”`}
      </Text>
      {(shown.kind !== null || shown.text !== null || shown.buttons.length > 0) && (
        <div className="bubble" lang={language}>
          {m.quote !== null && <Quoted quote={m.quote} customer={customer} />}
          {shown.kind !== null && <strong lang="en">{shown.text === null ? shown.kind : `${shown.kind}: `}</strong>}
          {m.type === 'text' ? stretches(m).map((s, i) => (s.mention === null ? s.text : <mark key={i}>{s.text}</mark>)) : shown.text}
          {shown.file !== null && (
            <a className="file" href={shown.file.url} target="_blank" rel="noreferrer" lang="en">
              {shown.file.picture === null ? 'Open' : <img src={shown.file.picture} alt={shown.text ?? shown.kind ?? 'File'} loading="lazy" />}
            </a>
          )}
          {shown.map !== null && (
            <Anchor href={shown.map} target="_blank" rel="noopener noreferrer" size="sm" display="block">
              Map
            </Anchor>
          )}
          {shown.buttons.length > 0 && (
            <ul className="buttons" aria-label="Buttons">
              {shown.buttons.map((b) => (
                <li key={b}>{b}</li>
              ))}
            </ul>
          )}
        </div>
      )}
      <div className="fate">
        <When at={m.created_at} />
        {m.edited_at !== null && m.state !== 'recalled' && <span title={m.edits.map((e) => e.text).join(' → ')}>Edited</span>}
        {way !== null && <span className={bad ? 'bad' : undefined}>{way}</span>}
      </div>
    </li>
  )
}

function sender(m: Message, customer: string): string {
  switch (m.sender.kind) {
    case 'system':
      return m.automated === null ? 'Kaiwa' : `Automated: ${m.automated.replaceAll('_', ' ')}`
    default:
      return name(m.sender, customer)
  }
}

/** Whom a message is of. In a group the speaker has a name; otherwise the customer is whom the conversation is with. */
function name(sender: Message['sender'], customer: string): string {
  switch (sender.kind) {
    case 'customer':
      return sender.name ?? customer
    case 'bot':
      return sender.name ?? 'Bot'
    case 'agent':
      return sender.name ?? 'Agent'
    case 'system':
      return 'Kaiwa'
  }
}

/** What an operator needs to find the conversation elsewhere. */
function Traces({ conversation: c }: { conversation: Conversation }) {
  return (
    <dl className="facts" style={{ padding: '1rem' }}>
      <dt>Conversation</dt>
      <dd>
        <Code>{c.id}</Code>
      </dd>
      <dt>Workflow in Temporal</dt>
      <dd>
        <Code>{c.workflow_id}</Code>
      </dd>
      {c.closed_at !== null && (
        <>
          <dt>Closed</dt>
          <dd>
            <When at={c.closed_at} />
            {c.closure_reason !== null && `, ${c.closure_reason.replaceAll('_', ' ')}`}
          </dd>
        </>
      )}
    </dl>
  )
}
