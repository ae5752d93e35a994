import { Alert, Button, Text } from '@mantine/core'
import { Failure } from '../lib/api'

/** A failure, with a way to try again. */
export function Trouble({ error, again }: { error: Error; again: () => unknown }) {
  return (
    <Alert color="red" role="alert" m="md" title={error.message}>
      {error instanceof Failure && error.requestID !== '' && (
        <Text size="sm" mb="xs">
          Request {error.requestID}
        </Text>
      )}
      <Button size="compact-sm" variant="default" onClick={() => void again()}>
        Try again
      </Button>
    </Alert>
  )
}
