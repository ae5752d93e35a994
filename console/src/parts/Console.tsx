import { Anchor, Button, Text } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { useLive, type Liveness } from '../lib/live'
import { me } from '../lib/queries'
import { link, useConversationID } from '../lib/route'
import { signOut, useToken } from '../lib/session'
import { zone } from '../lib/time'
import { ConversationList } from './ConversationList'
import { Overview } from './Overview'
import { SignIn } from './SignIn'
import { Transcript } from './Transcript'

/** All of the page. */
export function Console() {
  const token = useToken()
  const queries = useQueryClient()
  useEffect(() => {
    if (token === null) {
      queries.clear() // nothing stays for whoever signs in next
    }
  }, [token, queries])
  return token === null ? <SignIn /> : <SignedIn />
}

function SignedIn() {
  const id = useConversationID()
  const liveness = useLive()
  const who = useQuery(me)
  return (
    <div className="house">
      <a className="skip" href="#conversation">
        Skip to the conversation
      </a>
      <header className="head top">
        <Anchor {...link('/')} fw={700} underline="never" flex="none">
          Kaiwa <span lang="ja">会話</span>
        </Anchor>
        <Alive liveness={liveness} />
        <Text className="who" size="sm" truncate>
          {who.data === undefined ? '' : `${who.data.agent.name} · ${who.data.role}`}
        </Text>
        <Button size="compact-sm" variant="default" flex="none" onClick={signOut}>
          Sign out
        </Button>
      </header>
      <div className={id === null ? 'panes' : 'panes reading'}>
        <nav className="pane list" aria-label="Conversations">
          <ConversationList selected={id} />
        </nav>
        <main className="pane" id="conversation" tabIndex={-1}>
          {id === null ? <Overview /> : <Transcript key={id} id={id} />}
        </main>
      </div>
    </div>
  )
}

const words: Record<Liveness, string> = {
  starting: 'Catching up …',
  live: 'Live',
  interrupted: 'Interrupted: trying again',
  'not allowed': 'Not live: this token may not read events',
}

function Alive({ liveness }: { liveness: Liveness }) {
  return (
    <Text component="output" size="xs" c={liveness === 'interrupted' ? 'red' : 'dimmed'} title={`Times are those of ${zone()}.`}>
      {words[liveness]}
    </Text>
  )
}
