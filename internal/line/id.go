package line

import "regexp"

var (
	chatIDShape    = regexp.MustCompile(`^[UCR][0-9a-f]{32}$`)
	userIDShape    = regexp.MustCompile(`^U[0-9a-f]{32}$`)
	messageIDShape = regexp.MustCompile(`^[0-9]{1,32}$`)
	uuidShape      = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

	nameShape = regexp.MustCompile(`^[0-9A-Za-z_.:-]{1,64}$`)
)

// ValidChatID tells whether id has the shape of a user, group or room id.
// Requests carry no other: an id is part of a URL's path.
func ValidChatID(id string) bool { return chatIDShape.MatchString(id) }

// ValidUserID tells whether id has the shape of a user id.
func ValidUserID(id string) bool { return userIDShape.MatchString(id) }

// ValidMessageID tells whether id has the shape of a message id: digits.
func ValidMessageID(id string) bool { return messageIDShape.MatchString(id) }

// validName tells whether s may be an event's id or the name of a kind.
func validName(s string) bool { return nameShape.MatchString(s) }

const maxToken = 4096 // bytes; LINE calls its tokens opaque and gives no limit

// validToken tells whether s may be an id or token that is taken from LINE
// without looking closer: printable ASCII, so that it may be stored as text,
// logged and put into a header.
func validToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= maxToken
}
