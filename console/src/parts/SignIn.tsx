import { Alert, Button, Code, Container, PasswordInput, Stack, Text, Title } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { clientFor, data, Failure } from '../lib/api'
import { signIn } from '../lib/session'

/** What Kaiwa is, and the way in. */
export function SignIn() {
  const [value, setValue] = useState('')
  const token = value.trim()
  const attempt = useMutation({
    mutationFn: () => data(clientFor(() => token).GET('/api/v1/me')),
    onSuccess: () => signIn(token),
  })
  const refused = attempt.error instanceof Failure && attempt.error.status === 401
  return (
    <Container component="main" size="xs" py="xl">
      <Stack gap="lg">
        <div>
          <Title order={1}>
            Kaiwa <span lang="ja">会話</span>
          </Title>
          <Text mt="xs">
            Customer-service conversations on LINE. Each one runs as a durable workflow: a bot answers first and hands over to people, and nothing that was acknowledged
            gets lost, whatever crashes. This console shows the conversations of this installation.
          </Text>
        </div>
        <form
          onSubmit={(e) => {
            e.preventDefault()
            if (token !== '') {
              attempt.mutate()
            }
          }}
        >
          <Stack>
            <PasswordInput
              label="Token"
              description="It is kept in this tab until you sign out or close it."
              autoComplete="off"
              spellCheck={false}
              required
              value={value}
              error={refused ? 'Kaiwa does not know this token.' : null}
              onChange={(e) => setValue(e.currentTarget.value)}
            />
            {attempt.error !== null && !refused && (
              <Alert color="red" role="alert">
                {attempt.error.message}
              </Alert>
            )}
            <Button type="submit" loading={attempt.isPending}>
              Sign in
            </Button>
          </Stack>
        </form>
        <Text size="sm" c="dimmed">
          <Code>kaiwa admin token</Code> issues a token. On a developer’s machine, <Code>make dev</Code> prints some.
        </Text>
      </Stack>
    </Container>
  )
}
