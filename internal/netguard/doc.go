// Package netguard makes the requests whose address a user of Kaiwa chose:
// bots, classifiers, outbound webhooks, media that somebody else provides. It
// keeps them away from the machine Kaiwa runs on and the network around it
// (server-side request forgery, OWASP API7:2023).
//
// What counts is the address a connection is made to, looked at after the name
// was resolved, so a name that answers differently each time is no way in.
package netguard
