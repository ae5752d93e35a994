package conversation

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/uuid"
)

// Prefix starts an id and tells what it names.
type Prefix string

// The prefixes of public ids.
const (
	PrefixConversation Prefix = "cnv_"
	PrefixMessage      Prefix = "msg_"
	PrefixOffer        Prefix = "ofr_"
	PrefixAgent        Prefix = "agt_"
	PrefixQueue        Prefix = "que_"
	PrefixChannel      Prefix = "chn_"
	PrefixWorkstream   Prefix = "wst_"
	PrefixContact      Prefix = "cnt_"
	PrefixBot          Prefix = "bot_"
	PrefixProfile      Prefix = "prf_"
	PrefixSession      Prefix = "ssn_"
	PrefixBatch        Prefix = "bat_"
	PrefixTurn         Prefix = "trn_"
	PrefixToken        Prefix = "tok_"
	PrefixStep         Prefix = "tsn_"
	PrefixSkill        Prefix = "skl_"
	PrefixRuleset      Prefix = "rul_"
	PrefixCalendar     Prefix = "cal_"
	PrefixDisposition  Prefix = "dsp_"
	PrefixSurvey       Prefix = "svy_"
	PrefixInvitation   Prefix = "inv_"
	PrefixAttachment   Prefix = "att_"
	PrefixConsent      Prefix = "cst_"
	PrefixRoutingEntry Prefix = "rtl_"
	// PrefixCapacityProfile begins the id of a capacity profile.
	PrefixCapacityProfile Prefix = "cpf_"
	PrefixFinding         Prefix = "fnd_"
	PrefixPresence        Prefix = "prs_"
	PrefixQuickReply      Prefix = "qrp_"
	PrefixErrand          Prefix = "ern_"
	PrefixAccountLink     Prefix = "lnk_"
)

var encoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID makes a random id (130 bits) for something a person creates. What a
// conversation causes gets its id from DerivedID instead, so that doing it
// again names the same thing.
func NewID(p Prefix) string {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(fmt.Sprintf("no randomness: %v", err)) // documented never to happen
	}
	return string(p) + encoding.EncodeToString(b[:])
}

// DerivedID makes the id of something out of its causes: the same causes give
// the same id, wherever and however often it is computed.
func DerivedID(p Prefix, causes ...any) string {
	return string(p) + digest(causes...)
}

func digest(causes ...any) string {
	h := sha256.New()
	for _, c := range causes {
		s := fmt.Sprint(c)
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:]) // length first, so that ("ab","c") and ("a","bc") differ
		h.Write([]byte(s))
	}
	return encoding.EncodeToString(h.Sum(nil)[:16])
}

// UpdateStepID names the step that an update of a conversation's workflow asks
// for, so that it is carried out once whichever run gets it.
func UpdateStepID(conversationID, updateID string) string {
	return DerivedID(PrefixStep, conversationID, "update", updateID)
}

var idShape = regexp.MustCompile(`^[a-z]{3}_[0-9a-z]{1,40}$`)

// ValidID tells whether id has prefix p and the shape of an id. It says
// nothing about whether such a thing exists.
func ValidID(p Prefix, id string) bool {
	return strings.HasPrefix(id, string(p)) && idShape.MatchString(id)
}

// ChatKey names a LINE chat (a user, group or room talking to a channel) by a
// digest of its source, so that no LINE id stands in a workflow id or a log.
func ChatKey(sourceType, sourceID string) string { return digest(sourceType, sourceID) }

// RetryKey is the X-Line-Retry-Key of a push: a version 5 UUID (RFC 9562) of
// the frozen batch, so that every attempt of a batch carries the same one.
func RetryKey(batchID string) string {
	return uuid.NewSHA1(retryKeySpace, []byte(batchID)).String()
}

var retryKeySpace = uuid.MustParse("5f0c9a52-3f0e-5c39-9d0f-3b1f3a1f5a10")

// TrackingID is what LINE calls a message's video by when it tells that the
// customer has watched it to its end. LINE takes letters, digits and some signs,
// of which the underscore is none, and such ids in chats with one customer only.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#video-message
func TrackingID(messageID string) string { return strings.Replace(messageID, "_", "-", 1) }

// TrackedMessage is the message whose video LINE calls by a TrackingID; "" when
// that is none of Kaiwa's.
func TrackedMessage(trackingID string) string {
	id := strings.Replace(trackingID, "-", "_", 1)
	if !ValidID(PrefixMessage, id) || TrackingID(id) != trackingID {
		return ""
	}
	return id
}

// WorkflowID is the id of the workflow that runs the conversations of one LINE
// chat, one after the other. Temporal keeps at most one run of it alive.
func WorkflowID(channelID, chatKey string) string { return "line/" + channelID + "/" + chatKey }

// WorkflowDispatcherID is the id of the workflow that matches waiting
// conversations with agents.
const WorkflowDispatcherID = "dispatcher"

// SurveyWorkflowID is the id of the workflow that runs the survey after a
// conversation. Temporal never starts it twice.
func SurveyWorkflowID(conversationID string) string { return "survey/" + conversationID }

// ParseWorkflowID is the inverse of WorkflowID; ok is false for other ids.
func ParseWorkflowID(id string) (channelID, chatKey string, ok bool) {
	parts := strings.Split(id, "/")
	if len(parts) != 3 || parts[0] != "line" || parts[1] == "" || parts[2] == "" {
		return "", "", false
	}
	return parts[1], parts[2], true
}
