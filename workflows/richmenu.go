package workflows

import (
	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
)

// showRichMenu has the customer see the rich menu of whoever has the conversation
// now, beside the plot. The activity reads who that is, so of many changes the last
// one counts; a change while it works has it look again. It is bounded: where LINE
// has trouble, or refuses, the database knows what is due.
func (c *talk) showRichMenu() {
	c.menuDue = true
	if c.onMenu {
		return
	}
	c.onMenu = true
	workflow.Go(c.ctx, func(ctx workflow.Context) {
		for c.menuDue {
			c.menuDue = false
			in := activities.RichMenuInput{ChannelID: c.in.ChannelID, ChatKey: c.in.ChatKey}
			if err := workflow.ExecuteActivity(richMenu(ctx), acts.ShowRichMenu, in).Get(ctx, nil); err != nil {
				workflow.GetLogger(ctx).Warn("the rich menu is not shown", "error", err)
			}
		}
		c.onMenu = false
	})
}

// mindRichMenu sees to the rich menu where somebody else has the conversation than
// when it was last seen to.
func (c *talk) mindRichMenu() {
	switch {
	case !c.state.Settings.RichMenus:
		c.menuOf = ""
	case c.menuOf != c.state.Owner:
		c.menuOf = c.state.Owner
		c.showRichMenu()
	}
}
