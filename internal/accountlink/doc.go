// Package accountlink is what linking a customer's LINE account with the account
// they have with the company is made of, as far as it needs neither the database
// nor LINE: links and references that are signed, the nonce, the card in the
// chat, and the words of the page.
//
// The sequence is LINE's:
// https://developers.line.biz/en/docs/messaging-api/linking-accounts/
package accountlink
