package linesim

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"net/http"
)

type contentRow struct {
	ContentType      string `db:"content_type"`
	FileName         string `db:"file_name"`
	NotReady         int    `db:"not_ready"`
	TranscodingFails bool   `db:"transcoding_fails"`
	Bytes            []byte `db:"bytes"`
	Preview          []byte `db:"preview"`
	Type             string `db:"type"`
}

// stored finds the content of a customer's message to this channel, or gives
// LINE's refusal: 410 once unsent, 404 for everything else that is not there.
func (s *Simulator) stored(c *apiCall, columns string) (contentRow, *answer) {
	id := messageNumber(c.PathValue("messageId"))
	var row contentRow
	err := s.store.r.GetContext(c.Context(), &row, `SELECT m.type, c.content_type, c.file_name, c.not_ready, c.transcoding_fails`+columns+`
		FROM content c JOIN messages m ON m.id = c.message_id WHERE c.message_id = ? AND m.channel_id = ?`, id, c.channel.ID)
	if err == nil {
		return row, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		a := s.broken(c, err)
		return row, &a
	}
	var unsent int
	if err := s.store.r.GetContext(c.Context(), &unsent, `SELECT count(*) FROM messages WHERE id = ? AND channel_id = ? AND unsent_ms > 0`, id, c.channel.ID); err != nil {
		a := s.broken(c, err)
		return row, &a
	}
	a := refuse(http.StatusNotFound, "Not found")
	if unsent > 0 {
		a = refuse(http.StatusGone, "Gone")
	}
	return row, &a
}

// stillPreparing counts one "not ready" answer off, if any is left.
func (s *Simulator) stillPreparing(c *apiCall) (bool, error) {
	var n int64
	err := s.store.write(func(t *txn) error {
		var err error
		n, err = t.exec(`UPDATE content SET not_ready = not_ready - 1 WHERE message_id = ? AND not_ready > 0`, messageNumber(c.PathValue("messageId")))
		return err
	})
	return n > 0, err
}

// content: https://developers.line.biz/en/reference/messaging-api/#get-content
func (s *Simulator) content(c *apiCall) answer {
	row, missing := s.stored(c, `, c.bytes`)
	if missing != nil {
		return *missing
	}
	preparing, err := s.stillPreparing(c)
	switch {
	case err != nil:
		return s.broken(c, err)
	case preparing:
		return answer{status: http.StatusAccepted, json: struct{}{}}
	case row.TranscodingFails:
		return refuse(http.StatusNotFound, "Not found")
	}
	return answer{status: http.StatusOK, raw: row.Bytes, kind: row.ContentType}
}

// transcoding: https://developers.line.biz/en/reference/messaging-api/#verify-video-or-audio-preparation-status
func (s *Simulator) transcoding(c *apiCall) answer {
	row, missing := s.stored(c, ``)
	if missing != nil {
		return *missing
	}
	if row.Type != "video" && row.Type != "audio" {
		return refuse(http.StatusNotFound, "Not found")
	}
	preparing, err := s.stillPreparing(c)
	switch {
	case err != nil:
		return s.broken(c, err)
	case preparing:
		return ok(map[string]string{"status": "processing"})
	case row.TranscodingFails:
		return ok(map[string]string{"status": "failed"})
	}
	return ok(map[string]string{"status": "succeeded"})
}

// preview: https://developers.line.biz/en/reference/messaging-api/#get-image-or-video-preview
func (s *Simulator) preview(c *apiCall) answer {
	row, missing := s.stored(c, `, c.bytes, c.preview`)
	if missing != nil {
		return *missing
	}
	if row.Type != "image" && row.Type != "video" {
		return refuse(http.StatusNotFound, "Not found")
	}
	picture, kind, err := row.thumbnail()
	if err != nil {
		return s.broken(c, err)
	}
	return answer{status: http.StatusOK, raw: picture, kind: kind}
}

// thumbnail is the preview that came with the message, the image itself, or a
// grey frame for a video without one.
func (row contentRow) thumbnail() ([]byte, string, error) {
	if len(row.Preview) > 0 {
		return row.Preview, http.DetectContentType(row.Preview), nil
	}
	if row.Type == "image" {
		return row.Bytes, row.ContentType, nil
	}
	frame := image.NewGray(image.Rect(0, 0, 320, 180))
	for i := range frame.Pix {
		frame.Pix[i] = color.Gray{Y: 0x30}.Y
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, frame, nil); err != nil {
		return nil, "", fmt.Errorf("draw preview: %w", err)
	}
	return out.Bytes(), "image/jpeg", nil
}
