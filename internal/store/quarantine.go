package store

import (
	"context"
	"crypto/rand"
	"fmt"

	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
)

// KeepAttachment notes where the bytes of a pending file are and what they are,
// so that nobody fetches them again while they are looked at. The first to do so
// decides. It returns the attachment as it then is, pending or ended.
func (s *Store) KeepAttachment(ctx context.Context, id string, end AttachmentEnd) (a Attachment, err error) {
	err = s.tx(ctx, func(c conn) error {
		found, err := c.get(ctx, &a, `
			UPDATE attachments SET content_type = $1, size = $2, sha256 = $3, width = $4, height = $5,
				duration_ms = coalesce(nullif(CAST($6 AS BIGINT), 0), duration_ms), blob_key = $7, preview_key = $8
			WHERE id = $9 AND state = 'pending' AND blob_key IN ('', id) RETURNING `+attachmentColumns,
			end.ContentType, end.Size, end.SHA256, end.Width, end.Height, end.DurationMS, end.BlobKey, end.PreviewKey, id)
		if err == nil && !found {
			a, err = c.attachment(ctx, "id", id)
		}
		return err
	})
	if err != nil {
		return Attachment{}, fmt.Errorf("keep attachment %s: %w", id, err)
	}
	failpoint.Hit("media.kept")
	return a, nil
}

// End is the attachment as FinishAttachment takes it, to end as state for a
// reason.
func (a Attachment) End(state conversation.AttachmentState, reason string) AttachmentEnd {
	return AttachmentEnd{
		State: state, Reason: reason, ContentType: a.ContentType, SHA256: a.SHA256, BlobKey: a.BlobKey, PreviewKey: a.PreviewKey,
		Size: a.Size, Width: a.Width, Height: a.Height, DurationMS: a.DurationMS,
	}
}

// ReleaseAttachment lets a file out of quarantine: people say that it may be
// loaded, whatever the scanner takes it for. Doing it again changes nothing.
// CodeNotFound; CodeConflict when it is not in quarantine.
func (s *Store) ReleaseAttachment(ctx context.Context, by Origin, id string) (Attachment, error) {
	var a Attachment
	err := s.tx(ctx, func(c conn) error {
		done, err := c.get(ctx, &a, `UPDATE attachments SET state = 'stored', reason = '', link = $1, updated_at = $2
			WHERE id = $3 AND state = 'quarantined' AND `+notHeld+`
			RETURNING `+attachmentColumns, rand.Text(), micros(s.now()), id)
		if err != nil {
			return err
		}
		if !done {
			if a, err = c.attachment(ctx, notHeld+" AND id", id); err == nil && a.State != conversation.AttachmentStored {
				err = conversation.Errorf(conversation.CodeConflict, "The file is not in quarantine: it is %s.", a.State)
			}
			return err
		}
		if err := c.recordFile(ctx, a); err != nil {
			return err
		}
		return s.audit(ctx, c, by, AuditReleased, "attachment", a.ID, "", map[string]any{"conversation_id": a.ConversationID, "signature": a.Signature}, nil)
	})
	return a, err
}

// QuarantinedAttachments lists the files in quarantine, those first that went
// there first, after a position (the zero Position starts at the oldest).
func (s *Store) QuarantinedAttachments(ctx context.Context, after Position, limit int) ([]Attachment, error) {
	var list []Attachment
	err := s.read().list(ctx, &list, `SELECT `+attachmentColumns+` FROM attachments
		WHERE state = 'quarantined' AND (updated_at, id) > ($1, $2) ORDER BY updated_at, id`+limitTo(limit), after.At, after.ID)
	return list, err
}
