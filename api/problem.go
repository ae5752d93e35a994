package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"kaiwa/internal/conversation"
)

// Codes of problems that arise before any part of Kaiwa but this one is asked.
const (
	codeMethodNotAllowed     conversation.Code = "method_not_allowed"
	codeTooLarge             conversation.Code = "too_large"
	codeGone                 conversation.Code = "gone"
	codeUnsupportedMediaType conversation.Code = "unsupported_media_type"
	codeRateLimited          conversation.Code = "rate_limited"
	codeTooManyStreams       conversation.Code = "too_many_streams"
	codeBadSignature         conversation.Code = "bad_signature"
	codeInternal             conversation.Code = "internal"
)

type kindOfProblem struct {
	status int
	title  string
}

// kinds is what each code means in HTTP. A code that is not here is a mistake
// of Kaiwa's own and goes out as an internal error.
var kinds = map[conversation.Code]kindOfProblem{
	conversation.CodeInvalid:             {http.StatusBadRequest, "The request is not valid"},
	conversation.CodeUnauthenticated:     {http.StatusUnauthorized, "Not signed in"},
	conversation.CodeForbidden:           {http.StatusForbidden, "Not allowed"},
	conversation.CodeNotFound:            {http.StatusNotFound, "Not found"},
	conversation.CodeConflict:            {http.StatusConflict, "Conflict"},
	conversation.CodeInUse:               {http.StatusConflict, "Still in use"},
	conversation.CodeVersionRequired:     {http.StatusPreconditionRequired, "If-Match is missing"},
	conversation.CodeVersionStale:        {http.StatusPreconditionFailed, "Changed meanwhile"},
	conversation.CodeIdempotencyMismatch: {http.StatusUnprocessableEntity, "Idempotency-Key used for another request"},
	conversation.CodeInFlight:            {http.StatusConflict, "Still being worked on"},
	conversation.CodeUnavailable:         {http.StatusServiceUnavailable, "Not available at the moment"},
	conversation.CodeBehind:              {http.StatusServiceUnavailable, "Not available at the moment"},
	conversation.CodeLate:                {http.StatusServiceUnavailable, "Not available at the moment"},
	conversation.CodeConversationClosed:  {http.StatusConflict, "The conversation is closed"},
	conversation.CodeOtherConversation:   {http.StatusConflict, "Another conversation by now"},
	conversation.CodeNotAssignedToYou:    {http.StatusConflict, "Not assigned to you"},
	conversation.CodeNotAllowedNow:       {http.StatusConflict, "Not possible now"},
	conversation.CodeConsentPending:      {http.StatusConflict, "The customer has not agreed yet"},
	conversation.CodeOfferExpired:        {http.StatusConflict, "The offer has run out"},
	conversation.CodeOfferDeclined:       {http.StatusConflict, "The offer was declined"},
	conversation.CodeOfferRescinded:      {http.StatusConflict, "The offer was taken back"},
	conversation.CodeOfferAccepted:       {http.StatusConflict, "The offer was accepted"},
	conversation.CodeLiveConversations:   {http.StatusConflict, "Conversations are live"},
	conversation.CodeLINERefused:         {http.StatusUnprocessableEntity, "LINE refused"},
	conversation.CodeLINEUnreachable:     {http.StatusBadGateway, "LINE did not answer"},
	codeMethodNotAllowed:                 {http.StatusMethodNotAllowed, "Method not allowed"},
	codeGone:                             {http.StatusGone, "Gone"},
	codeTooLarge:                         {http.StatusRequestEntityTooLarge, "Too large"},
	codeUnsupportedMediaType:             {http.StatusUnsupportedMediaType, "Unsupported media type"},
	codeRateLimited:                      {http.StatusTooManyRequests, "Too many requests"},
	codeTooManyStreams:                   {http.StatusTooManyRequests, "Too many open streams"},
	codeBadSignature:                     {http.StatusUnauthorized, "Wrong signature"},
	codeInternal:                         {http.StatusInternalServerError, "Something is wrong on Kaiwa's side"},
}

const contentTypeProblem = "application/problem+json"

// handleError writes err as a problem. It is the only place errors leave by.
func (s *Server) handleError(err error, c echo.Context) {
	if c.Response().Committed {
		s.log.Error("the answer broke off", "request_id", requestID(c.Request().Context()), "error", err)
		return
	}
	e := s.asError(c.Request().Context(), err)
	kind := kinds[e.Code]
	h := c.Response().Header()
	switch e.Code {
	case conversation.CodeUnauthenticated:
		h.Set("WWW-Authenticate", `Bearer realm="kaiwa"`)
	case conversation.CodeUnavailable, conversation.CodeBehind, conversation.CodeLate, conversation.CodeInFlight, conversation.CodeLINEUnreachable:
		h.Set("Retry-After", "1")
	}
	fields := make([]FieldError, len(e.Fields))
	for i, f := range e.Fields {
		fields[i] = FieldError{Pointer: f.Pointer, Detail: f.Detail}
	}
	body, err := json.Marshal(Problem{
		Type: "urn:kaiwa:problem:" + string(e.Code), Title: kind.title, Status: kind.status, Detail: e.Detail,
		Code: string(e.Code), RequestID: requestID(c.Request().Context()), Errors: fields,
	})
	if err == nil {
		err = c.Blob(kind.status, contentTypeProblem, body)
	}
	if err != nil {
		s.log.Warn("a problem could not be written", "request_id", requestID(c.Request().Context()), "error", err)
	}
}

// asError makes an Error with a known code of any error. What is internal is
// logged here and leaves without its text.
func (s *Server) asError(ctx context.Context, err error) *conversation.Error {
	var e *conversation.Error
	if errors.As(err, &e) {
		if _, known := kinds[e.Code]; known {
			return e
		}
	}
	var h *echo.HTTPError
	if errors.As(err, &h) {
		switch h.Code {
		case http.StatusNotFound:
			return conversation.Errorf(conversation.CodeNotFound, "There is nothing at this address.")
		case http.StatusMethodNotAllowed:
			return conversation.Errorf(codeMethodNotAllowed, "This address does not take that method.")
		case http.StatusRequestEntityTooLarge:
			return tooLarge()
		case http.StatusUnsupportedMediaType:
			return conversation.Errorf(codeUnsupportedMediaType, "The request body must be application/json.")
		case http.StatusBadRequest:
			return conversation.Errorf(conversation.CodeInvalid, "The request cannot be read.")
		}
	}
	if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		s.log.Error("internal error", "request_id", requestID(ctx), "error", err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return conversation.Errorf(conversation.CodeUnavailable, "The request took too long. Try again.")
	}
	if s.databaseAway(ctx) {
		return conversation.Errorf(conversation.CodeUnavailable, "The database does not answer at the moment. Try again.")
	}
	return conversation.Errorf(codeInternal, "The request failed for a reason that is not yours. If it stays, give an administrator the request id.")
}

// databaseAway tells an outage, which passes, from a mistake, which does not.
func (s *Server) databaseAway(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 500*time.Millisecond)
	defer cancel()
	return s.store.Ping(ctx) != nil
}

func tooLarge() *conversation.Error {
	return conversation.Errorf(codeTooLarge, "The request body is larger than %d bytes.", maxBody)
}

// invalid collects wrong fields; err is nil when there are none.
type invalid []conversation.FieldError

func (i *invalid) add(pointer, format string, args ...any) {
	*i = append(*i, conversation.FieldError{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
}

// under adds the fields of err, an Error, below a pointer.
func (i *invalid) under(pointer string, err error) error {
	if err == nil {
		return nil
	}
	var e *conversation.Error
	if !errors.As(err, &e) {
		return err
	}
	if len(e.Fields) == 0 {
		i.add(pointer, "%s", e.Detail)
	}
	for _, f := range e.Fields {
		i.add(pointer+f.Pointer, "%s", f.Detail)
	}
	return nil
}

func (i invalid) err() error {
	if len(i) == 0 {
		return nil
	}
	detail := "The request is not valid: see errors."
	if len(i) == 1 {
		detail = "The request is not valid: " + i[0].Pointer + ": " + i[0].Detail
	}
	return &conversation.Error{Code: conversation.CodeInvalid, Detail: detail, Fields: i}
}
