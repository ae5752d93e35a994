package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

func showOfferState(o store.Offer) OfferState {
	return OfferState{
		ID: o.ID, ConversationID: o.ConversationID, AgentID: o.AgentID, QueueID: o.QueueID, State: OfferStateState(o.State),
		CreatedAt: fromMicros(o.CreatedAt), ExpiresAt: fromMicros(o.ExpiresAt),
	}
}

func showOffer(v store.OfferView, needs []conversation.SkillNeed, names map[string]string) Offer {
	o := Offer{
		ID: v.ID, ConversationID: v.ConversationID, Queue: Named{ID: v.QueueID, Name: v.QueueName}, Skills: []OfferSkill{}, Priority: v.Priority, Units: v.Units,
		Customer: OfferCustomer{
			Name: Nullable(v.DisplayName), PictureURL: Nullable(v.PictureURL), Language: Nullable(v.Language), EarlierConversations: v.Earlier,
		},
		WaitingSince: fromMicros(v.WaitingSince), Summary: Nullable(v.Summary), Messages: shown(v.Messages, showMessage),
		CreatedAt: fromMicros(v.CreatedAt), ExpiresAt: fromMicros(v.ExpiresAt),
	}
	if v.ContactID != "" {
		o.Customer.Contact = &Named{ID: v.ContactID, Name: v.ContactName}
	}
	for _, k := range needs {
		o.Skills = append(o.Skills, OfferSkill{SkillID: k.SkillID, Name: Nullable(names[k.SkillID]), Level: int64(k.Level)})
	}
	return o
}

// ListMyOffers lists what is on offer to the caller.
func (s *Server) ListMyOffers(ctx context.Context, _ ListMyOffersRequestObject) (ListMyOffersResponseObject, error) {
	views, err := s.store.OfferViews(ctx, caller(ctx).Agent.ID)
	if err != nil {
		return nil, err
	}
	needs := make([][]conversation.SkillNeed, len(views))
	var ids []string
	for i, v := range views {
		if err := json.Unmarshal([]byte(v.Skills), &needs[i]); err != nil {
			return nil, fmt.Errorf("skills of conversation %s: %w", v.ConversationID, err)
		}
		for _, k := range needs[i] {
			ids = append(ids, k.SkillID)
		}
	}
	names, err := s.store.Names(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := ListMyOffers200JSONResponse{Items: []Offer{}, ServerTime: Time(time.Now())}
	for i, v := range views {
		out.Items = append(out.Items, showOffer(v, needs[i], names))
	}
	return out, nil
}

// AcceptOffer takes the conversation that is on offer. The offer's row decides,
// in the transaction that gives the agent the conversation; asking again for
// what one has got is no error.
func (s *Server) AcceptOffer(ctx context.Context, r AcceptOfferRequestObject) (AcceptOfferResponseObject, error) {
	o, err := s.store.Offer(ctx, r.ID)
	if err == nil && o.AgentID != caller(ctx).Agent.ID {
		err = conversation.Errorf(conversation.CodeNotFound, "There is no offer %q to you.", r.ID)
	}
	if err != nil {
		return nil, err
	}
	refused := o.Over()
	if refused == nil {
		var c Conversation
		c, refused = s.act(ctx, o.ConversationID, conversation.ActionRequest{Event: conversation.EventAccepted, OfferID: o.ID})
		if refused == nil {
			return AcceptOffer200JSONResponse(c), nil
		}
		if conversation.CodeOf(refused) == conversation.CodeUnavailable {
			return nil, refused
		}
		// Whatever the conversation's state forbids, the offer knows why.
		if o, err = s.store.Offer(ctx, r.ID); err != nil {
			return nil, err
		}
		if over := o.Over(); over != nil {
			refused = over
		}
	}
	if o.State != conversation.OfferAccepted {
		return nil, refused
	}
	c, err := s.store.Conversation(ctx, o.ConversationID)
	if err == nil && (c.Owner != conversation.OwnerAgent || c.AgentID != o.AgentID) {
		err = refused // had, and passed on
	}
	return AcceptOffer200JSONResponse(showConversation(c)), err
}

// DeclineOffer lets an offer pass.
func (s *Server) DeclineOffer(ctx context.Context, r DeclineOfferRequestObject) (DeclineOfferResponseObject, error) {
	o, err := s.store.DeclineOffer(ctx, r.ID, caller(ctx).Agent.ID, strings.TrimSpace(r.Body.Reason))
	return DeclineOffer200JSONResponse(showOfferState(o)), s.dispatched(ctx, err)
}

// RescindOffer takes an offer back on behalf of a supervisor.
func (s *Server) RescindOffer(ctx context.Context, r RescindOfferRequestObject) (RescindOfferResponseObject, error) {
	o, err := s.store.RescindOffer(ctx, r.ID, caller(ctx).Agent.ID)
	return RescindOffer200JSONResponse(showOfferState(o)), s.dispatched(ctx, err)
}
