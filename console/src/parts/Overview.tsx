import { Badge, Card, CopyButton, Button, Group, Loader, Stack, Text, Title, VisuallyHidden } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useEffect } from 'react'
import type { Channel } from '../api.gen'
import { channels, me } from '../lib/queries'
import { zone } from '../lib/time'
import { Trouble } from './Trouble'

/** Who is signed in, and which LINE accounts are connected. */
export function Overview() {
  const who = useQuery(me)
  const mayReadChannels = who.data?.permissions.includes('configuration.read') ?? false
  const list = useQuery({ ...channels, enabled: mayReadChannels })
  useEffect(() => {
    document.title = 'Kaiwa'
  }, [])
  return (
    <Stack p="md" gap="lg" maw="50rem">
      <VisuallyHidden component="h1">Overview</VisuallyHidden>
      <section aria-labelledby="you">
        <Title order={2} size="h4" id="you" mb="xs">
          You
        </Title>
        {who.error !== null && <Trouble error={who.error} again={who.refetch} />}
        {who.data !== undefined && (
          <dl className="facts">
            <dt>Name</dt>
            <dd>{who.data.agent.name}</dd>
            <dt>Email</dt>
            <dd>{who.data.agent.email}</dd>
            <dt>Role</dt>
            <dd>{who.data.role}</dd>
            <dt>Time zone</dt>
            <dd>{zone()}</dd>
          </dl>
        )}
      </section>
      <section aria-labelledby="channels">
        <Title order={2} size="h4" id="channels" mb="xs">
          Channels
        </Title>
        {who.data !== undefined && !mayReadChannels && <Text c="dimmed">Supervisors and administrators see them.</Text>}
        {mayReadChannels && list.isPending && <Loader size="sm" aria-label="Reading channels" />}
        {list.error !== null && <Trouble error={list.error} again={list.refetch} />}
        {list.data?.items.length === 0 && <Text c="dimmed">No LINE Official Account is connected yet: POST /api/v1/channels connects one.</Text>}
        <Stack>
          {list.data?.items.map((c) => (
            <ChannelCard key={c.id} channel={c} />
          ))}
        </Stack>
      </section>
    </Stack>
  )
}

function ChannelCard({ channel: c }: { channel: Channel }) {
  return (
    <Card withBorder padding="md">
      <Group justify="space-between" mb="xs">
        <Title order={3} size="h5">
          {c.name}
        </Title>
        <Badge color={c.status === 'active' ? 'teal' : 'gray'} variant="dot" tt="none">
          {c.status === 'active' ? 'Active' : 'Disabled'}
        </Badge>
      </Group>
      <dl className="facts">
        <dt>LINE channel</dt>
        <dd>
          {c.line_channel_id}
          {c.basic_id !== '' && ` (${c.basic_id})`}
        </dd>
        <dt>Language</dt>
        <dd>{c.locale}</dd>
        <dt>Webhook URL</dt>
        <dd>
          {c.callback_url}{' '}
          <CopyButton value={c.callback_url}>
            {({ copied, copy }) => (
              <Button size="compact-xs" variant="default" onClick={copy} aria-label={`Copy the webhook URL of ${c.name}`}>
                {copied ? 'Copied' : 'Copy'}
              </Button>
            )}
          </CopyButton>
        </dd>
        {c.events_while_disabled > 0 && (
          <>
            <dt>Never handled</dt>
            <dd>{c.events_while_disabled} events that came while it was disabled</dd>
          </>
        )}
      </dl>
    </Card>
  )
}
