package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"time"

	"kaiwa/internal/conversation"
)

const (
	// attempt is how long one attempt of a request may take: longer than a paused
	// API sleeps, shorter than people wait.
	attempt = 10 * time.Second
	// firstPause and longestPause are between attempts.
	firstPause, longestPause = 100 * time.Millisecond, time.Second
)

// requestsAsked counts requests, however often each was asked.
const requestsAsked = "requests over the REST API"

// desk is where somebody works over the REST API: an address and a token.
// Whatever is asked is asked until it is answered, a step with the same
// Idempotency-Key each time, so that it is taken once.
type desk struct {
	front, token, name string
	client             *http.Client
	asked              int // keys given out
	tally              *tally
}

// refusal is an answer that says no.
type refusal struct {
	Status int
	Code   conversation.Code `json:"code"`
	Detail string            `json:"detail"`
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s: %s", r.Status, r.Code, r.Detail) }

// mistakes are refusals that nobody's haste explains.
var mistakes = map[conversation.Code]bool{
	conversation.CodeInvalid: true, conversation.CodeUnauthenticated: true, conversation.CodeNotFound: true,
	conversation.CodeIdempotencyMismatch: true, conversation.CodeVersionRequired: true, conversation.CodeVersionStale: true,
}

// reads asks for something.
func (d *desk) reads(ctx context.Context, path string, into any) error {
	return d.ask(ctx, http.MethodGet, path, "", "", nil, into)
}

// puts sets something.
func (d *desk) puts(ctx context.Context, path string, body any) error {
	return d.send(ctx, http.MethodPut, path, "", body, nil)
}

// key is that of the next step.
func (d *desk) key() string {
	d.asked++
	return fmt.Sprintf("%s-%d", d.name, d.asked)
}

// posts takes a step.
func (d *desk) posts(ctx context.Context, path, key string, body, into any) error {
	return d.send(ctx, http.MethodPost, path, key, body, into)
}

func (d *desk) send(ctx context.Context, method, path, key string, body, into any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return d.ask(ctx, method, path, key, "application/json", b, into)
}

// uploads brings a file to a conversation, and returns the attachment's id.
func (d *desk) uploads(ctx context.Context, conversationID, key, fileName string, content []byte) (string, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", fileName)
	if err != nil {
		return "", err
	}
	if _, err := part.Write(content); err != nil {
		return "", err
	}
	if err := form.Close(); err != nil {
		return "", err
	}
	var out struct {
		ID string `json:"id"`
	}
	err = d.ask(ctx, http.MethodPost, "/conversations/"+conversationID+"/attachments", key, form.FormDataContentType(), body.Bytes(), &out)
	return out.ID, err
}

// ask asks until there is an answer: a yes, or a refusal as error. Other errors
// mean that ctx ended.
func (d *desk) ask(ctx context.Context, method, path, key, contentType string, body []byte, into any) error {
	d.tally.add(requestsAsked, 1)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		status, answer := d.try(ctx, method, path, key, contentType, body)
		no := &refusal{Status: status}
		if status >= http.StatusBadRequest {
			if err := json.Unmarshal(answer, no); err != nil {
				status = 0 // a proxy's words, not Kaiwa's
			}
		}
		switch {
		case status == 0, status >= http.StatusInternalServerError, status == http.StatusTooManyRequests, no.Code == conversation.CodeInFlight:
			d.tally.add("requests asked again", 1)
			if !rest(ctx, pause) {
				return ctx.Err()
			}
			continue
		case status >= http.StatusBadRequest:
			d.tally.refused(d.name, method+" "+path, no)
			return no
		case into != nil && len(answer) > 0:
			if err := json.Unmarshal(answer, into); err != nil {
				return fmt.Errorf("%s %s: %w", method, path, err)
			}
		}
		return nil
	}
}

// try makes one attempt; status 0 is no answer.
func (d *desk) try(ctx context.Context, method, path, key, contentType string, body []byte) (status int, answer []byte) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, d.front+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := d.client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = res.Body.Close() }() // read to its end
	if answer, err = io.ReadAll(res.Body); err != nil {
		return 0, nil
	}
	return res.StatusCode, answer
}
