package api

import (
	"strconv"
	"strings"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// etag is a version as an entity tag.
func etag(version int64) string { return strconv.Quote(strconv.FormatInt(version, 10)) }

// ifMatch reads the version a change is made to. "*" is any.
func ifMatch(header string) (int64, error) {
	header = strings.TrimSpace(header)
	switch header {
	case "":
		return 0, conversation.Errorf(conversation.CodeVersionRequired, "A change needs the header If-Match with the ETag last seen.")
	case "*":
		return store.AnyVersion, nil
	}
	if tag, err := strconv.Unquote(header); err == nil {
		if version, err := strconv.ParseInt(tag, 10, 64); err == nil && version > 0 {
			return version, nil
		}
	}
	return 0, conversation.Errorf(conversation.CodeVersionStale, "If-Match is not an ETag of this resource. Read it again and repeat your change.")
}
