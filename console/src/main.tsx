import '@mantine/core/styles.css'
import './console.css'

import { createTheme, MantineProvider } from '@mantine/core'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Failure } from './lib/api'
import { Console } from './parts/Console'

const theme = createTheme({
  primaryColor: 'cyan',
  primaryShade: 9,
  autoContrast: true,
  fontFamily: 'var(--font)',
  headings: { fontFamily: 'var(--font)' },
  lineHeights: { xs: '1.6', sm: '1.6', md: '1.6', lg: '1.6', xl: '1.6' }, // Thai stacks marks above and below its letters
})

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // What the server refuses stays refused; too many requests and failures pass.
      retry: (count, e) => count < 3 && (!(e instanceof Failure) || e.status === 0 || e.status === 429 || e.status >= 500),
      refetchOnWindowFocus: false, // the record of events says what to read anew
    },
  },
})

const root = document.getElementById('root')
if (root === null) {
  throw new Error('the page has no root')
}
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <QueryClientProvider client={queries}>
        <Console />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
)
