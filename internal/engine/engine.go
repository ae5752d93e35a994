// Package engine asks conversations' workflows for things on behalf of people.
package engine

import (
	"context"
	"errors"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"kaiwa/internal/conversation"
	"kaiwa/internal/inbox"
)

// Engine is the way to the workflows. It is safe for concurrent use.
type Engine struct {
	temporal client.Client
}

// New returns an Engine.
func New(c client.Client) *Engine { return &Engine{c} }

// Ready tells whether Temporal answers.
func (e *Engine) Ready(ctx context.Context) error {
	_, err := e.temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
	return err
}

// Act asks a chat's workflow for a step of a conversation's life, and waits
// until it is done. The workflow is started if none runs, so that a
// conversation whose run was terminated obeys too. The same update id gets the
// same answer, also when the run is over; once the chat's next conversation
// has begun, that is CodeConversationClosed. It returns the life table's refusals,
// and CodeUnavailable when Temporal does not answer before ctx is done.
func (e *Engine) Act(ctx context.Context, workflowID, updateID string, req conversation.ActionRequest) (conversation.ActionAnswer, error) {
	channelID, chatKey, ok := conversation.ParseWorkflowID(workflowID)
	if !ok {
		return conversation.ActionAnswer{}, conversation.Errorf(conversation.CodeNotFound, "There is no such workflow.")
	}
	handle, err := e.temporal.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: e.temporal.NewWithStartWorkflowOperation(inbox.StartOptions(channelID, chatKey),
			conversation.WorkflowConversation, conversation.WorkflowInput{ChannelID: channelID, ChatKey: chatKey}),
		UpdateOptions: client.UpdateWorkflowOptions{
			UpdateID: updateID, WorkflowID: workflowID, UpdateName: conversation.UpdateOf(req.Event), Args: []any{req},
			WaitForStage: client.WorkflowUpdateStageCompleted,
		},
	})
	if err != nil {
		return conversation.ActionAnswer{}, answer(err)
	}
	var out conversation.ActionAnswer
	return out, answer(handle.Get(ctx, &out))
}

// answer turns what Temporal carries back into the domain's errors.
func answer(err error) error {
	if err == nil {
		return nil
	}
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		switch code := conversation.Code(app.Type()); code {
		case conversation.CodeConversationClosed, conversation.CodeConsentPending, conversation.CodeNotAllowedNow, conversation.CodeNotAssignedToYou,
			conversation.CodeForbidden, conversation.CodeConflict, conversation.CodeNotFound, conversation.CodeInvalid,
			conversation.CodeOfferExpired, conversation.CodeOfferDeclined, conversation.CodeOfferRescinded, conversation.CodeOfferAccepted:
			refusal := &conversation.Error{Code: code, Detail: app.Message(), Err: err}
			if app.HasDetails() {
				_ = app.Details(&refusal.Fields) // without them it says less, and the same
			}
			return refusal
		}
	}
	// Whatever else it is (Temporal is away; the run was terminated before it
	// answered, which has a type of Temporal's own), nothing is known of the
	// conversation: the same request will tell.
	return &conversation.Error{Code: conversation.CodeUnavailable, Detail: "The workflow engine does not answer. Try again.", Err: err}
}
