package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
)

// talk is one run of the Conversation workflow. (The package conversation has
// the domain; this is one conversation being held.)
type talk struct {
	ctx  workflow.Context // outlives a cancellation, which is only something that happens
	in   conversation.WorkflowInput
	wake workflow.ReceiveChannel

	state conversation.WorkflowState

	new        bool // this run began the conversation, or took it over
	profileDue bool
	greeted    bool
	blocked    bool // the customer blocked the account
	more       bool // the inbox was too full for one ingest
	cancelled  bool // an operator cancelled the workflow

	asking   bool                   // a bot is being asked
	answered *activities.TurnOutput // it has answered, and nobody has heeded it
	ending   bool                   // it has said goodbye, unless there is more to answer
	requests []*request             // updates that wait to be heeded
	ask      bool                   // consent is awaited, and the question is due
	unshown  bool                   // the customer wrote something Kaiwa cannot show, and nobody has told them
	wrote    bool                   // the customer wrote, and nobody has heeded it
	lost     bool                   // the agent who has it is gone, and nobody has heeded it
	alarm    alarm                  // the one timer
	resting  bool                   // the plot waits: what it has said is ready to be sent together
	unsent   bool                   // the lane has something to do
	sending  bool                   // the lane works
	heldMS   int64                  // until when what waits is held back for a free reply, Unix milliseconds; 0: it is not
	quick    bool                   // LINE answered soon when the inbox was last looked into
	plot     int                    // see activities.Plot
	moved    bool                   // the search attributes are to be set

	strangers    []string  // members of the group whose names are to be asked for
	refreshing   bool      // LINE is being asked again about people who are known
	refreshAfter time.Time // not sooner again

	errands  bool // something is to be done in the chat beside the conversation
	onErrand bool // it is being done

	menuOf  conversation.Owner // for whom the rich menu was last seen to; "" for nobody
	menuDue bool               // LINE is to show a rich menu
	onMenu  bool               // it is being asked to

	media    []string // files that are being fetched
	fetching int      // of these, at this moment

	offeredTo      string // the agent it is offered to
	offeredUntilMS int64
	autoOffer      string // an offer that is to be accepted for its agent

	reason  conversation.ClosureReason
	remains bool // events were left for the next conversation
}

// acts names the activities; only its methods' names are used here.
var acts *activities.Activities

// setup registers the handlers and starts the lane, before anything blocks.
func setup(ctx workflow.Context, in conversation.WorkflowInput) (*talk, error) {
	detached, _ := workflow.NewDisconnectedContext(ctx)
	c := &talk{ctx: detached, in: in, wake: workflow.GetSignalChannel(ctx, conversation.SignalWake)}
	if in.State != nil {
		c.state = *in.State
		c.greeted = c.phase() != conversation.PhaseConsent
		c.unsent = in.State.Pending
		if in.State.Settings.RichMenus {
			c.menuOf = in.State.Owner
		}
	}
	workflow.Go(ctx, func(ctx workflow.Context) {
		ctx.Done().Receive(ctx, nil)
		c.cancelled = true
	})
	workflow.Go(detached, c.workLane)
	c.fetchMedia(in.Media)
	if in.RichMenu {
		c.showRichMenu()
	}
	if err := workflow.SetQueryHandler(ctx, conversation.QueryState, c.answerState); err != nil {
		return nil, err
	}
	return c, c.handleUpdates(ctx)
}

func (c *talk) now() time.Time { return workflow.Now(c.ctx) }

// begun tells whether there is a conversation at all.
func (c *talk) begun() bool { return c.state.ConversationID != "" }

func (c *talk) closed() bool { return c.state.Status == conversation.StatusClosed }

func (c *talk) phase() conversation.Phase {
	return conversation.Phase{Status: c.state.Status, Owner: c.state.Owner}
}

// step names a step of this conversation. Every transition moves the epoch on,
// so what is done in which epoch names it: whichever run does it again, with
// whatever it remembers, is recognised.
func (c *talk) step(what string) string {
	return conversation.DerivedID(conversation.PrefixStep, c.state.ConversationID, what, c.state.Epoch)
}
