package api

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/media"
	"kaiwa/internal/store"
)

func showWorkstream(w store.Workstream) Workstream {
	return Workstream{
		ID: w.ID, Name: w.Name, Mode: WorkstreamMode(w.Mode), FallbackQueueID: Nullable(w.FallbackQueueID), BotID: Nullable(w.BotID),
		Settings: w.Settings, Version: w.Version, CreatedAt: Time(w.CreatedAt), UpdatedAt: Time(w.UpdatedAt),
	}
}

func workstreamResponse(w store.Workstream) WorkstreamJSONResponse {
	return WorkstreamJSONResponse{Body: showWorkstream(w), Headers: WorkstreamResponseHeaders{ETag: etag(w.Version)}}
}

// apply checks the input and puts it into w. Its settings are complete, or
// left out.
func (in WorkstreamInput) apply(w *store.Workstream) error {
	w.Name, w.Mode, w.FallbackQueueID, w.BotID = in.Name, string(in.Mode), in.FallbackQueueID, in.BotID
	if w.Mode == "" {
		w.Mode = store.ModePush
	}
	w.Settings = store.WorkstreamSettings{}
	if in.Settings != nil {
		if err := mergePatch(w.Settings, in.Settings, &w.Settings); err != nil {
			return err
		}
	}
	w.Settings = w.Settings.Defaults()
	var wrong invalid
	if err := wrong.automatedMessages("/settings/automated_messages", w.Settings.AutomatedMessages); err != nil {
		return err
	}
	wrong.privacy("/settings/privacy", w.Settings.Privacy)
	wrong = append(wrong, store.CheckTimeoutRules("/settings/timeout_rules", w.Settings.TimeoutRules)...)
	wrong.types("/settings/attachments/allowed_types", w.Settings.Attachments.AllowedTypes)
	wrong.types("/settings/attachments/blocked_types", w.Settings.Attachments.BlockedTypes)
	for _, list := range []struct {
		field string
		ids   []string
	}{{"classification_ruleset_ids", w.Settings.ClassificationRulesetIDs}, {"disposition_ids", w.Settings.DispositionIDs}} {
		for i, id := range list.ids {
			if slices.Contains(list.ids[:i], id) {
				wrong.add("/settings/"+list.field+"/"+strconv.Itoa(i), "This is in the list already.")
			}
		}
	}
	switch wrapUp := w.Settings.WrapUp; {
	case wrapUp.Blocks == store.WrapUpForSeconds && wrapUp.ForSeconds == 0:
		wrong.add("/settings/wrap_up/for_seconds", "Say how long: 30 to 3600 seconds.")
	case wrapUp.Blocks != store.WrapUpForSeconds && wrapUp.ForSeconds != 0:
		wrong.add("/settings/wrap_up/for_seconds", "It is for blocks: for_seconds only.")
	}
	if w.Settings.DispositionRequired && len(w.Settings.DispositionIDs) == 0 {
		wrong.add("/settings/disposition_required", "There is no disposition to choose from: see disposition_ids.")
	}
	for _, name := range slices.Sorted(maps.Keys(w.Settings.Context)) {
		if n := len([]rune(name)); n == 0 || n > maxVariableName {
			wrong.add("/settings/context"+conversation.Pointer(name), "The name of a context variable has 1 to %d characters.", maxVariableName)
		}
	}
	return wrong.err()
}

// types notes what is wrong with a list of media types.
func (i *invalid) types(at string, list []string) {
	for n, t := range list {
		if !media.ValidPattern(t) {
			i.add(at+"/"+strconv.Itoa(n), "Must be a media type such as application/pdf, or a family such as image/*, in small letters.")
		}
	}
}

// privacy notes what is wrong with the version of a privacy notice.
func (i *invalid) privacy(at string, p store.Privacy) {
	switch {
	case (p.Notice || p.Consent) && strings.TrimSpace(p.Version) == "":
		i.add(at+"/version", "A notice or a consent needs a version, so that a new wording can be told from the old one.")
	case strings.ContainsFunc(p.Version, unicode.IsControl):
		i.add(at+"/version", "The version contains control characters.")
	}
}

// automatedMessages notes what is wrong with overrides of automated messages.
func (i *invalid) automatedMessages(at string, list []store.AutomatedMessage) error {
	seen := map[[2]string]bool{}
	for n, m := range list {
		at := at + "/" + strconv.Itoa(n)
		if err := i.under(at, automessage.Validate(m.Override())); err != nil {
			return err
		}
		if key := [2]string{m.Trigger, m.Locale}; seen[key] {
			i.add(at, "There is an automated message of this trigger and locale already.")
		} else {
			seen[key] = true
		}
	}
	return nil
}

const maxVariableName = 100 // characters

// workstreamInput is the workstream as a client would have to send it.
func workstreamInput(w store.Workstream) (WorkstreamInput, error) {
	settings, err := json.Marshal(w.Settings)
	return WorkstreamInput{Name: w.Name, Mode: WorkstreamInputMode(w.Mode), FallbackQueueID: w.FallbackQueueID, BotID: w.BotID, Settings: settings}, err
}

// ListWorkstreams lists workstreams.
func (s *Server) ListWorkstreams(ctx context.Context, r ListWorkstreamsRequestObject) (ListWorkstreamsResponseObject, error) {
	items, next, err := listed("workstreams", r.Params.Cursor, r.Params.Limit, func(after store.Cursor, limit int) ([]store.Workstream, error) {
		return s.store.Workstreams(ctx, after, limit)
	}, func(w store.Workstream) store.Cursor { return store.Cursor{At: w.CreatedAt, ID: w.ID} }, showWorkstream)
	return ListWorkstreams200JSONResponse{Items: items, NextCursor: next}, err
}

// CreateWorkstream creates a workstream.
func (s *Server) CreateWorkstream(ctx context.Context, r CreateWorkstreamRequestObject) (CreateWorkstreamResponseObject, error) {
	w := store.Workstream{ID: idFor(ctx, conversation.PrefixWorkstream)}
	if err := r.Body.apply(&w); err != nil {
		return nil, err
	}
	w, err := s.store.CreateWorkstream(ctx, origin(ctx), w)
	return CreateWorkstream201JSONResponse{workstreamResponse(w)}, err
}

// CopyWorkstream makes a copy under another name.
func (s *Server) CopyWorkstream(ctx context.Context, r CopyWorkstreamRequestObject) (CopyWorkstreamResponseObject, error) {
	w, err := s.store.Workstream(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	w.ID, w.Name = idFor(ctx, conversation.PrefixWorkstream), r.Body.Name
	w, err = s.store.CreateWorkstream(ctx, origin(ctx), w)
	return CopyWorkstream201JSONResponse{workstreamResponse(w)}, err
}

// GetWorkstream reads a workstream.
func (s *Server) GetWorkstream(ctx context.Context, r GetWorkstreamRequestObject) (GetWorkstreamResponseObject, error) {
	w, err := s.store.Workstream(ctx, r.ID)
	return GetWorkstream200JSONResponse{workstreamResponse(w)}, err
}

// UpdateWorkstream changes a workstream.
func (s *Server) UpdateWorkstream(ctx context.Context, r UpdateWorkstreamRequestObject) (UpdateWorkstreamResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	w, err := s.store.UpdateWorkstream(ctx, origin(ctx), r.ID, version, func(w *store.Workstream) error {
		in, err := workstreamInput(*w)
		if err != nil {
			return err
		}
		var out WorkstreamInput
		if err := mergePatch(in, *r.Body, &out); err != nil {
			return err
		}
		return out.apply(w)
	})
	return UpdateWorkstream200JSONResponse{workstreamResponse(w)}, s.dispatched(ctx, err)
}

// DeleteWorkstream deletes a workstream.
func (s *Server) DeleteWorkstream(ctx context.Context, r DeleteWorkstreamRequestObject) (DeleteWorkstreamResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	return DeleteWorkstream204Response{}, s.store.DeleteWorkstream(ctx, origin(ctx), r.ID, version)
}

// ListAutomatedMessageDefaults lists what is said where nothing overrides it.
func (s *Server) ListAutomatedMessageDefaults(context.Context, ListAutomatedMessageDefaultsRequestObject) (ListAutomatedMessageDefaultsResponseObject, error) {
	items := []AutomatedMessageDefault{}
	for _, t := range automessage.Triggers() {
		texts := map[string]string{}
		for _, l := range automessage.Locales() {
			texts[l], _ = automessage.Text(t, l)
		}
		items = append(items, AutomatedMessageDefault{
			Trigger: string(t), Audience: AutomatedMessageDefaultAudience(t.Audience()), Enabled: t.OnByDefault(), Texts: texts,
		})
	}
	return ListAutomatedMessageDefaults200JSONResponse{Items: items}, nil
}
