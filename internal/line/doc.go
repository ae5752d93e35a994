// Package line is everything Kaiwa knows about talking to LINE: verifying and
// splitting what LINE's webhook delivers, a lenient typed view of events, the
// rendering of Content as LINE's message objects within LINE's limits, and a
// client of the Messaging API that tells apart what a refusal means.
//
// It keeps no state. Facts and limits are those of LINE's Messaging API
// reference (https://developers.line.biz/en/reference/messaging-api/).
package line
