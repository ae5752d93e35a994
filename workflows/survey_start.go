package workflows

import (
	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
)

// startSurvey begins the survey after the conversation, if one follows. From
// then on that is a workflow of its own, and the customer may start another
// conversation meanwhile.
func (c *talk) startSurvey() {
	if !c.state.Settings.Survey {
		return
	}
	in := conversation.SurveyInput{ConversationID: c.state.ConversationID, ChannelID: c.in.ChannelID}
	var out activities.StartSurveyOutput
	if err := c.do("start the survey", acts.StartSurvey, in, &out); err != nil {
		workflow.GetLogger(c.ctx).Warn("no survey", "error", err)
	}
}
