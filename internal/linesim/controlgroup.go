package linesim

import (
	"context"
	"net/http"
)

// The part of the control API for what happens in groups, and for what
// customers do beside writing.

func (s *Simulator) controlMembers(do func(*Simulator, context.Context, string, string, ...string) (Sent, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		req, err := read[struct {
			UserIDs []string `json:"user_ids"`
		}](r)
		if err != nil {
			return nil, err
		}
		return do(s, r.Context(), r.PathValue("channel"), r.PathValue("group"), req.UserIDs...)
	}
}

func (s *Simulator) controlEdit(r *http.Request) (any, error) {
	req, err := read[struct {
		Text string `json:"text"`
	}](r)
	if err != nil {
		return nil, err
	}
	return s.Edit(r.Context(), r.PathValue("channel"), r.PathValue("user"), r.PathValue("message"), req.Text)
}

func (s *Simulator) controlPlayVideo(r *http.Request) (any, error) {
	req, err := read[struct {
		TrackingID string `json:"tracking_id"`
	}](r)
	if err != nil {
		return nil, err
	}
	return s.PlayVideo(r.Context(), r.PathValue("channel"), r.PathValue("user"), req.TrackingID)
}

func (s *Simulator) controlBeacon(r *http.Request) (any, error) {
	req, err := read[struct {
		Type string `json:"type"`
		HWID string `json:"hwid"`
		DM   string `json:"dm"`
	}](r)
	if err != nil {
		return nil, err
	}
	return s.Beacon(r.Context(), r.PathValue("channel"), r.PathValue("user"), req.Type, req.HWID, req.DM)
}

func (s *Simulator) controlMembership(r *http.Request) (any, error) {
	req, err := read[struct {
		Type         string `json:"type"`
		MembershipID int64  `json:"membership_id"`
	}](r)
	if err != nil {
		return nil, err
	}
	return s.Membership(r.Context(), r.PathValue("channel"), r.PathValue("user"), req.Type, req.MembershipID)
}

func (s *Simulator) controlSuspension(r *http.Request) (any, error) {
	req, err := read[struct {
		Suspended bool `json:"suspended"`
	}](r)
	if err != nil {
		return nil, err
	}
	return s.Suspend(r.Context(), r.PathValue("channel"), req.Suspended)
}
