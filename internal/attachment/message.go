package attachment

import (
	"encoding/json"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"kaiwa/internal/conversation"
	"kaiwa/internal/locale"
	"kaiwa/internal/media"
	"kaiwa/internal/store"
)

// maxImage is LINE's limit for an image, in bytes. Source:
// https://developers.line.biz/en/reference/messaging-api/#image-message
const maxImage = 10 << 20

// Kind is what LINE is sent of an uploaded file: an image, a video or an audio
// where it takes one, and otherwise a file, which goes as a card with a link.
// A video must have a preview by then.
func (k Kept) Kind() string {
	switch {
	case (k.ContentType == "image/jpeg" || k.ContentType == "image/png") && k.Size <= maxImage && k.PreviewKey != "":
		return store.FileImage
	case k.ContentType == "video/mp4" && k.Film.Video && k.PreviewKey != "":
		return store.FileVideo
	case k.isMP4() && k.Film.Audio && !k.Film.Video && k.Duration >= 1e6: // LINE wants whole milliseconds
		return store.FileAudio
	}
	return store.FileOther
}

func (k Kept) isMP4() bool {
	return k.ContentType == "video/mp4" || k.ContentType == "audio/mp4" || k.ContentType == "audio/x-m4a"
}

// URL is where a stored file can be had; "" when it cannot.
func URL(filesURL string, a store.Attachment) string {
	if a.State != conversation.AttachmentStored {
		return ""
	}
	return filesURL + "/files/" + a.Link
}

// PreviewURL is where its preview can be had; "" when there is none.
func PreviewURL(filesURL string, a store.Attachment) string {
	if u := URL(filesURL, a); u != "" && a.PreviewKey != "" {
		return u + "/preview"
	}
	return ""
}

// Content is the message that sends a stored file to a customer who reads a
// locale.
func Content(filesURL string, a store.Attachment, to string) (conversation.Content, error) {
	url, preview := URL(filesURL, a), PreviewURL(filesURL, a)
	switch a.Kind {
	case store.FileImage:
		return conversation.Content{Type: conversation.ContentImage, URL: url, PreviewURL: preview}, nil
	case store.FileVideo:
		return conversation.Content{Type: conversation.ContentVideo, URL: url, PreviewURL: preview}, nil
	case store.FileAudio:
		return conversation.Content{Type: conversation.ContentAudio, URL: url, DurationMS: a.DurationMS}, nil
	}
	return card(url, a, to)
}

// words are what a card says, beside the name of its file.
var words = map[string]struct{ file, open string }{
	"en":    {"File", "Open"},
	"ja":    {"ファイル", "開く"},
	"th":    {"ไฟล์", "เปิด"},
	"zh-TW": {"檔案", "開啟"},
	"da":    {"Fil", "Åbn"},
}

// card is a message with a link to a file, since bots can send no files on LINE.
func card(url string, a store.Attachment, to string) (conversation.Content, error) {
	have := []string{"en", "ja", "th", "zh-TW", "da"}
	in := locale.Match(to, have)
	if in == "" {
		in = have[0]
	}
	name := Name(a)
	if a.FileName == "" {
		name = words[in].file
	}
	text := func(s, size, color string) map[string]any {
		return map[string]any{"type": "text", "text": s, "size": size, "color": color, "wrap": true}
	}
	title := text(name, "md", "#111111")
	title["weight"] = "bold"
	bubble, err := json.Marshal(map[string]any{
		"type": "bubble", "size": "kilo",
		"body": map[string]any{"type": "box", "layout": "vertical", "spacing": "sm", "contents": []any{title, text(about(a, in), "sm", "#767676")}},
		"footer": map[string]any{"type": "box", "layout": "vertical", "contents": []any{map[string]any{
			"type": "button", "style": "link", "height": "sm", "action": map[string]any{"type": "uri", "label": words[in].open, "uri": url},
		}}},
	})
	return conversation.Content{Type: conversation.ContentFlex, AltText: name, Contents: bubble}, err
}

// Name is the name a file is saved under: its own, or one for its type.
func Name(a store.Attachment) string {
	if a.FileName != "" {
		return a.FileName
	}
	return a.Kind + media.Extension(a.ContentType)
}

// about is a file's type and size, as people write them.
func about(a store.Attachment, in string) string {
	p := message.NewPrinter(language.Make(in))
	size := p.Sprintf("%d B", a.Size)
	switch {
	case a.Size >= 1e6:
		size = p.Sprintf("%.1f MB", float64(a.Size)/1e6)
	case a.Size >= 1e3:
		size = p.Sprintf("%d kB", (a.Size+500)/1e3)
	}
	if ext := strings.TrimPrefix(media.Extension(a.ContentType), "."); ext != "" && a.ContentType != media.Octets {
		return strings.ToUpper(ext) + " · " + size
	}
	return size
}
