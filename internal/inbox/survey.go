package inbox

import (
	"context"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"kaiwa/internal/conversation"
	"kaiwa/internal/searchattr"
	"kaiwa/internal/wakeup"
)

// TemporalSurveys returns the Waker that signals the workflow of the survey
// after a conversation, starting it if none runs.
// The database is the truth of a survey as it is of a chat: what a wake-up
// starts or repeats does only what is due.
func TemporalSurveys(c client.Client) Waker {
	return func(ctx context.Context, channelID, conversationID string) error {
		survey := conversation.SurveyInput{ConversationID: conversationID, ChannelID: channelID}
		return wakeup.Deliver(ctx, c, conversation.SignalWake,
			client.StartWorkflowOptions{
				ID:                       conversation.SurveyWorkflowID(survey.ConversationID),
				TaskQueue:                conversation.QueueConversations,
				WorkflowTaskTimeout:      taskTimeout,
				WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
				TypedSearchAttributes: temporal.NewSearchAttributes(
					searchattr.KaiwaConversation.ValueSet(survey.ConversationID), searchattr.KaiwaChannel.ValueSet(survey.ChannelID)),
				StaticSummary: "The survey after a conversation",
				StaticDetails: "Asks the customer about conversation `" + survey.ConversationID + "`, which is closed, one question after the other, or sends the link to the survey's page.\n\n" +
					"- **Cancel** ends the survey; answers that come later are kept as late.\n" +
					"- **Terminate** stops the run; the customer's next answer takes the survey up again, also after its time.\n" +
					"- **Reset** goes back in the plot; nothing is asked twice.",
			}, conversation.WorkflowSurvey, survey)
	}
}

// TemporalSurveyTasks returns the Tasked of what TemporalSurveys wakes.
func TemporalSurveyTasks(c client.Client) Tasked {
	return func(ctx context.Context, _, conversationID string) bool {
		return hasTask(ctx, c, conversation.SurveyWorkflowID(conversationID))
	}
}
