package accountlink

import (
	"net"
	"strings"
)

// dataPrefix starts the data of postbacks that ask for something here: of a rich
// menu, a template or a quick reply.
const dataPrefix = "kaiwa:account_link:"

// Tap is what a postback asks for.
type Tap string

// The taps. Any other data that begins like ours asks for nothing.
const (
	TapNone   Tap = ""
	TapLink   Tap = "link"   // the card with the way to the page
	TapUnlink Tap = "unlink" // to be linked no longer
)

// Data is the data of a postback that asks for t.
func (t Tap) Data() string { return dataPrefix + string(t) }

// ReadTap reads the data of a postback; ok is false when it is none of ours.
func ReadTap(data string) (t Tap, ok bool) {
	rest, ok := strings.CutPrefix(data, dataPrefix)
	if t = Tap(rest); t != TapLink && t != TapUnlink {
		t = TapNone
	}
	return t, ok
}

func thisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
