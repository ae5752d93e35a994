package line

import (
	"context"
	"io"
	"net/http"
	"time"
)

// ContentStream is an image, video, audio or file a customer sent. Read Body to
// io.EOF and close it: a length that falls short is an error of Read.
type ContentStream struct {
	RequestID string
	Body      io.ReadCloser
	Type      string // LINE's word for its media type: sniff before trusting it
	Length    int64  // bytes; -1 when LINE does not say
}

// Content downloads what a message carries. LINE keeps it for a short time
// only, so fetch at once. Fails with ErrNotReady while LINE still prepares it
// (large videos: try again), ErrGone when it was unsent, ClassNotFound when it
// has expired or is provided by somebody else (contentProvider external).
//
// ctx bounds the whole download: LINE has taken 41 s for 356 MB.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#get-content
func (c *Client) Content(ctx context.Context, messageID string) (ContentStream, error) {
	return c.messageContent(ctx, messageID, "content")
}

// Preview downloads the preview picture of an image or video; otherwise it is
// as Content.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#get-image-or-video-preview
func (c *Client) Preview(ctx context.Context, messageID string) (ContentStream, error) {
	return c.messageContent(ctx, messageID, "content/preview")
}

func (c *Client) messageContent(ctx context.Context, messageID, what string) (ContentStream, error) {
	if !ValidMessageID(messageID) {
		return ContentStream{}, refused("not a LINE message id")
	}
	return c.download(ctx, "/v2/bot/message/"+messageID+"/"+what)
}

// The SDK gives no error for 202, whose body is not the content, and a
// download must not be read whole into memory, so these are made without it.
func (c *Client) download(ctx context.Context, path string) (ContentStream, error) {
	if err := c.checkToken(); err != nil {
		return ContentStream{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.api.dataURL+path, nil)
	if err != nil {
		return ContentStream{}, refused("LINE's address is not usable: %v", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	begun := time.Now()
	res, err := c.api.downloads.Do(req)
	if err != nil {
		c.api.note(req, begun, nil)
		return ContentStream{}, noAnswer(err)
	}
	if res.StatusCode == http.StatusOK {
		c.api.note(req, begun, &answer{status: res.StatusCode})
		requestID := (&answer{header: res.Header}).requestID()
		return ContentStream{RequestID: requestID, Body: res.Body, Type: res.Header.Get("Content-Type"), Length: res.ContentLength}, nil
	}
	a := read(res)
	c.api.note(req, begun, a)
	return ContentStream{}, errorOf(a)
}

// Transcoding is how far LINE is with a video or audio.
type Transcoding struct {
	RequestID string
	Status    string // TranscodingProcessing, TranscodingSucceeded or TranscodingFailed
}

// The states of transcoding.
const (
	TranscodingProcessing = "processing"
	TranscodingSucceeded  = "succeeded"
	TranscodingFailed     = "failed" // the content will never be ready
)

// Transcoding tells whether a video or audio is ready for Content.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#verify-video-or-audio-preparation-status
func (c *Client) Transcoding(ctx context.Context, messageID string) (Transcoding, error) {
	if !ValidMessageID(messageID) {
		return Transcoding{}, refused("not a LINE message id")
	}
	sdk, x, err := c.blobSDK(ctx)
	if err != nil {
		return Transcoding{}, err
	}
	_, t, err := sdk.GetMessageContentTranscodingByMessageIdWithHttpInfo(messageID)
	if err := x.fail(err); err != nil {
		return Transcoding{}, err
	}
	return Transcoding{RequestID: x.requestID(), Status: clean(string(t.Status))}, nil
}
