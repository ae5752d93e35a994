// Package guide tells a newcomer, in their language, what is left to do until
// the customers of a LINE Official Account reach Kaiwa: step by step, in the order
// in which one thing needs another.
package guide

import (
	"maps"
	"slices"
	"strings"

	"kaiwa/internal/locale"
)

// DefaultLocale is the language for whoever reads none of the others.
const DefaultLocale = "en"

// Step is one thing that has to be right.
type Step string

// The steps, in their order.
const (
	AccessToken   Step = "access_token"   // LINE takes the channel access token
	ChannelID     Step = "channel_id"     // the LINE channel ID is the token's
	ChannelSecret Step = "channel_secret" // the channel secret is the channel's
	WebhookURL    Step = "webhook_url"    // LINE has this channel's webhook URL
	UseWebhook    Step = "use_webhook"    // "Use webhook" is on
	WebhookTest   Step = "webhook_test"   // LINE's own test reaches it
	Redelivery    Step = "redelivery"     // "Webhook redelivery" is on
	ResponseMode  Step = "response_mode"  // people do not answer in LINE's own chat, too
	AutoReply     Step = "auto_reply"     // LINE's own auto-response is off
	Greeting      Step = "greeting"       // LINE's own greeting is as it shall be
	RichMenus     Step = "rich_menus"     // LINE can show the rich menus that are set
)

// Steps lists the steps in their order.
func Steps() []Step {
	return []Step{AccessToken, ChannelID, ChannelSecret, WebhookURL, UseWebhook, WebhookTest, Redelivery, ResponseMode, AutoReply, Greeting, RichMenus}
}

// State is how a step stands.
type State string

// The states.
const (
	Done    State = "done"
	Todo    State = "todo"    // something is to be done
	Confirm State = "confirm" // LINE does not tell: a person has to look
	Blocked State = "blocked" // a step before comes first
)

// Finding is what was found of a step. Each has its words in every language.
type Finding string

// The findings. {url}, {status} and {detail} stand in their words for what Args
// say.
const (
	TokenAccepted      Finding = "token_accepted"
	TokenRefused       Finding = "token_refused"        // one that LINE's console issued
	TokenNotIssued     Finding = "token_not_issued"     // LINE issues none, or refuses what it issued
	TokenOfOtherBot    Finding = "token_of_another_bot" // another account's than this channel's
	IDRight            Finding = "channel_id_right"
	IDWrong            Finding = "channel_id_wrong"
	SecretRight        Finding = "channel_secret_right"
	SecretWrong        Finding = "channel_secret_wrong"
	URLRight           Finding = "webhook_url_right"
	URLMissing         Finding = "webhook_url_missing"
	URLOther           Finding = "webhook_url_other"
	URLNotHTTPS        Finding = "webhook_url_not_https"
	URLTooLong         Finding = "webhook_url_too_long"
	URLUnusable        Finding = "webhook_url_unusable"
	WebhookOn          Finding = "use_webhook_on"
	WebhookOff         Finding = "use_webhook_off"
	TestPassed         Finding = "test_passed"
	TestNoConnection   Finding = "could_not_connect"
	TestTimeout        Finding = "request_timeout"
	TestStatus         Finding = "error_status_code"
	TestSignature      Finding = "signature_refused" // a status of 401: the secret is not LINE's
	TestRedirect       Finding = "redirected"        // a status of 3xx
	TestUnclassified   Finding = "unclassified"
	TestNotNow         Finding = "test_not_now" // LINE allows 60 an hour
	RedeliverySeen     Finding = "redelivery_seen"
	RedeliveryUnknown  Finding = "redelivery_unknown"
	ModeBot            Finding = "response_mode_bot"
	ModeChat           Finding = "response_mode_chat"
	AutoReplyUnknown   Finding = "auto_reply_unknown"
	GreetingUnknown    Finding = "greeting_unknown"
	MenusNotSet        Finding = "rich_menus_not_set" // Kaiwa leaves menus alone
	MenusThere         Finding = "rich_menus_there"
	MenusMissing       Finding = "rich_menus_missing" // or without an image
	AnotherStepIsFirst Finding = "another_step_first"
)

// Item is one step as it stands.
type Item struct {
	Step    Step
	State   State
	Finding Finding
	Args    map[string]string // what the finding's words ask for
}

// Title names the step for a reader.
func (i Item) Title(reader string) string { return titles[i.Step][Locale(reader)] }

// Detail says in a reader's language how the step stands, and what to do.
func (i Item) Detail(reader string) string {
	text := words[i.Finding][Locale(reader)]
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(i.Args)) {
		pairs = append(pairs, "{"+name+"}", i.Args[name])
	}
	return strings.TrimSpace(strings.NewReplacer(pairs...).Replace(text))
}

// Locale is the language a reader of another gets.
func Locale(reader string) string {
	if l := locale.Match(reader, locales); l != "" {
		return l
	}
	return DefaultLocale
}

var locales = []string{"en", "ja", "th", "zh-TW", "zh-CN", "da"}
