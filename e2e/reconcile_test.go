package e2e

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/cmd/kaiwa-dev/embedded"
	"kaiwa/internal/conversation"
	"kaiwa/internal/dispatch"
	"kaiwa/internal/engine"
	"kaiwa/internal/inbox"
	"kaiwa/internal/linesim"
	"kaiwa/internal/reconcile"
	"kaiwa/internal/store"
)

// An operator may terminate, cancel and reset a conversation's workflow at any
// time. None of it loses a message or sends one twice.

// reconciler looks for what is so at this moment.
func (k *kaiwa) reconciler() *reconcile.Reconciler {
	return &reconcile.Reconciler{
		Store: k.Store, Temporal: k.Temporal, Namespace: embedded.DefaultNamespace, Wake: reconcile.Waker(inbox.Temporal(k.Temporal)),
		Kick:   dispatch.Wake(k.Temporal),
		Logger: slog.New(slog.DiscardHandler), Settled: time.Nanosecond,
	}
}

// finds reconciles until something is found: visibility follows at a distance.
func (k *kaiwa) finds(mend bool, what func(reconcile.Report) bool) (found reconcile.Report) {
	k.t.Helper()
	k.eventually(func() bool {
		r, err := k.reconciler().Reconcile(k.t.Context(), mend)
		found = r
		return err == nil && what(r)
	}, "the reconciler finds it")
	return found
}

// runID is the customer's current run and how it does.
func (c customer) runID() (id string, status enums.WorkflowExecutionStatus) {
	c.k.t.Helper()
	d, err := c.k.Temporal.DescribeWorkflowExecution(c.k.t.Context(), c.workflowID(), "")
	require.NoError(c.k.t, err)
	return d.WorkflowExecutionInfo.Execution.RunId, d.WorkflowExecutionInfo.Status
}

func (c customer) ends() {
	c.k.t.Helper()
	c.k.eventually(func() bool {
		_, status := c.runID()
		return status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING
	}, "the run ends")
}

// sends tells whether the customer's run has an activity under way.
func (c customer) sends() bool {
	d, err := c.k.Temporal.DescribeWorkflowExecution(c.k.t.Context(), c.workflowID(), "")
	return err == nil && len(d.PendingActivities) > 0
}

// isHeard has the customer write texts, each after the answer to the one
// before.
func (c customer) isHeard(texts ...string) {
	c.k.t.Helper()
	for _, text := range texts {
		n := len(c.reads())
		c.writes(text)
		c.isAnswered(n + 1)
	}
	c.isQuiet()
}

func TestATerminatedConversationIsFoundAndGoesOn(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		emma, bob := k.newCustomer("Emma"), k.newCustomer("Bob")
		emma.isHeard("m000", "m001")
		bob.isHeard("b000")
		old, _ := emma.runID()
		id := emma.conversations()[0].ID
		require.NoError(t, k.Temporal.TerminateWorkflow(t.Context(), emma.workflowID(), "", "an operator's hand slipped"))

		r := k.finds(true, func(r reconcile.Report) bool { return r.WithoutRun.Count > 0 })
		require.Equal(t, reconcile.Finding{Count: 1, IDs: []string{id}}, r.WithoutRun)
		require.Equal(t, 2, r.OpenConversations)
		require.Equal(t, 1, r.Mended)
		k.finds(false, reconcile.Report.Healthy)
		now, status := emma.runID()
		require.NotEqual(t, old, now)
		require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_RUNNING, status)

		emma.isHeard("m002")
		require.Equal(t, []string{"welcome", "heard m001", "heard m002"}, emma.reads(), "nothing twice")
		require.Equal(t, []string{"m000", "m001", "m002"}, emma.inbound())
		convs := emma.conversations()
		require.Len(t, convs, 1)
		require.Equal(t, now, convs[0].RunID)
		bob.isHeard("b001")
		require.Equal(t, []string{"welcome", "heard b001"}, bob.reads())
	})
}

// The customer does not wait for the reconciler: the next message takes the
// conversation up, and what was said meanwhile is answered.
func TestTheNextMessageTakesATerminatedConversationUp(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		emma.isHeard("m000")
		require.NoError(t, k.Temporal.TerminateWorkflow(t.Context(), emma.workflowID(), "", ""))
		emma.isHeard("m001", "m002")
		require.Equal(t, []string{"welcome", "heard m001", "heard m002"}, emma.reads())
		require.Len(t, emma.conversations(), 1)
	})
}

func TestACancelledConversationIsClosedAndSaysWhy(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		emma.isHeard("m000", "m001")
		require.NoError(t, k.Temporal.CancelWorkflow(t.Context(), emma.workflowID(), ""))
		emma.ends()
		_, status := emma.runID()
		require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED, status, "a cancellation is a graceful close")
		convs := emma.conversations()
		require.Len(t, convs, 1)
		require.Equal(t, conversation.StatusClosed, convs[0].Status)
		require.Equal(t, conversation.ReasonCancelled, convs[0].ClosureReason)
		emma.allAccepted()
		k.finds(false, reconcile.Report.Healthy)

		emma.isHeard("m002")
		convs = emma.conversations()
		require.Len(t, convs, 2)
		require.Equal(t, conversation.StatusActive, convs[1].Status)
		require.Equal(t, []string{"m000", "m001", "m002"}, emma.inbound())
	})
}

// Wherever in the plot it is reset to, what was done is not done twice.
func TestAResetConversationSendsNothingTwiceAndGoesOn(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		said := numbered(4)
		emma.isHeard(said...)
		for round := range 4 {
			old, _ := emma.runID()
			var tasks []int64
			for _, e := range k.run(emma.workflowID(), old) {
				if e.EventType == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
					tasks = append(tasks, e.EventId)
				}
			}
			require.NotEmpty(t, tasks)
			at := tasks[[]int{0, len(tasks) / 4, len(tasks) / 2, len(tasks) - 1}[round]]
			res, err := k.Temporal.ResetWorkflowExecution(t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
				Namespace: embedded.DefaultNamespace, WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: emma.workflowID(), RunId: old},
				Reason: "back in the plot", RequestId: uuid.NewString(), WorkflowTaskFinishEventId: at,
			})
			require.NoError(t, err)
			require.NotEqual(t, old, res.RunId)
			emma.isQuiet()
			text := fmt.Sprintf("r%03d", round)
			said = append(said, text)
			emma.isHeard(text)
			require.Equal(t, append([]string{"welcome"}, echoes(said[1:])...), emma.reads(), "reset to event %d", at)
			require.Equal(t, said, emma.inbound())
			convs := emma.conversations()
			require.Len(t, convs, 1)
			require.Equal(t, conversation.StatusActive, convs[0].Status)
			emma.allAccepted()
		}
	})
}

// The conversation was closed elsewhere, and its run was not told.
func TestARunWithoutAConversationIsWokenAndEnds(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		emma, bob := k.newCustomer("Emma"), k.newCustomer("Bob")
		emma.isHeard("m000")
		bob.isHeard("b000")
		conv := emma.conversations()[0]
		res, err := k.Store.Transition(t.Context(), store.TransitionRequest{
			ID: "tsn_elsewhere", ConversationID: conv.ID, ChannelID: conv.ChannelID, ChatKey: conv.ChatKey, Event: conversation.EventForceClosed, Seen: 1 << 40,
		})
		require.NoError(t, err)
		require.Equal(t, conversation.StatusClosed, res.Status)

		r := k.finds(true, func(r reconcile.Report) bool { return r.WithoutRow.Count > 0 })
		require.Equal(t, reconcile.Finding{Count: 1, IDs: []string{emma.workflowID()}}, r.WithoutRow)
		emma.ends()
		k.finds(false, reconcile.Report.Healthy)
		require.Equal(t, []string{"welcome"}, emma.reads())

		emma.isHeard("m001")
		require.Len(t, emma.conversations(), 2)
		bob.isHeard("b001")
		require.Len(t, bob.conversations(), 1)
	})
}

// A run that still says goodbye has no open conversation, and is none of the
// reconciler's business.
func TestARunThatSaysGoodbyeIsLeftAlone(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		emma.isHeard("m000")
		_, err := k.Sim.Faults(linesim.Fault{Kind: linesim.FaultSlow, DelayMS: 6000, Times: 2})
		require.NoError(t, err)
		emma.writes("bye")
		k.eventually(func() bool { return emma.conversations()[0].Status == conversation.StatusClosed && emma.sends() }, "it is closed, and sends")
		_, status := emma.runID()
		require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_RUNNING, status)
		r, err := k.reconciler().Reconcile(t.Context(), true)
		require.NoError(t, err)
		require.Equal(t, 1, r.Runs)
		require.True(t, r.Healthy(), "%+v", r)
		emma.ends()
		require.Equal(t, []string{"welcome", "goodbye"}, emma.reads())
	})
}

func TestUnhandledEventsAreReported(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect, func(o *dev.Options) { o.DropWakeups = func() bool { return true } })
		emma := k.newCustomer("Emma")
		before := time.Now().Truncate(time.Microsecond)
		emma.writes("m000")
		emma.writes("m001")
		r := k.finds(true, func(r reconcile.Report) bool { return r.Unhandled == 2 })
		require.False(t, r.Healthy())
		require.WithinRange(t, r.OldestUnhandled, before, time.Now())
		require.Zero(t, r.Mended, "to wake for them is the relay's")
	})
}

func TestClosingAnswersTheSameToTheSameRequestAndRefusesOthers(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		ctx, e := t.Context(), engine.New(k.Temporal)
		require.NoError(t, e.Ready(ctx))
		emma := k.newCustomer("Emma")
		emma.isHeard("m000")
		closing := conversation.ActionRequest{ConversationID: emma.conversations()[0].ID, Event: conversation.EventForceClosed}
		code := func(workflowID, update string, req conversation.ActionRequest) conversation.Code {
			t.Helper()
			_, err := e.Act(ctx, workflowID, update, req)
			require.Error(t, err)
			return conversation.CodeOf(err)
		}

		other := closing
		other.ConversationID = "cnv_other"
		require.Equal(t, conversation.CodeConversationClosed, code(emma.workflowID(), "other", other), "an earlier conversation's")
		agents := closing
		agents.Actor = conversation.Actor{AgentID: "agt_1"}
		require.Equal(t, conversation.CodeForbidden, code(emma.workflowID(), "agent", agents), "before the bot it takes a supervisor")
		impossible := closing
		impossible.Event = conversation.EventWrapUpDone
		require.Equal(t, conversation.CodeNotAllowedNow, code(emma.workflowID(), "impossible", impossible))
		require.Equal(t, conversation.StatusActive, emma.conversations()[0].Status)

		want := conversation.ActionAnswer{Status: conversation.StatusClosed, Owner: conversation.OwnerNone, Reason: conversation.ReasonForceClosed}
		answers := make([]conversation.ActionAnswer, 4)
		var asking sync.WaitGroup
		for i := range answers {
			asking.Go(func() {
				var err error
				if answers[i], err = e.Act(ctx, emma.workflowID(), "close", closing); err != nil {
					t.Error(err)
				}
			})
		}
		asking.Wait()
		require.Equal(t, []conversation.ActionAnswer{want, want, want, want}, answers)
		emma.ends()
		again, err := e.Act(ctx, emma.workflowID(), "close", closing)
		require.NoError(t, err, "the run is over, and what it answered stands")
		require.Equal(t, want, again)
		require.Equal(t, conversation.CodeConversationClosed, code(emma.workflowID(), "later", closing))

		emma.isHeard("m001")
		require.Equal(t, conversation.CodeConversationClosed, code(emma.workflowID(), "late", closing), "a late click for the conversation before")
		require.Equal(t, conversation.StatusActive, emma.conversations()[1].Status)

		// Whose run was terminated can be closed as well.
		require.NoError(t, k.Temporal.TerminateWorkflow(ctx, emma.workflowID(), "", ""))
		closing.ConversationID = emma.conversations()[1].ID
		again, err = e.Act(ctx, emma.workflowID(), "second", closing)
		require.NoError(t, err)
		require.Equal(t, want, again)
		require.Equal(t, conversation.StatusClosed, emma.conversations()[1].Status)

		nobody := conversation.WorkflowID(k.Seeded.ChannelID, "nobody")
		require.Equal(t, conversation.CodeConversationClosed, code(nobody, "nobody", closing))
	})
}

// The run of a closed conversation is terminated before its last words are
// sent. The reconciler has them sent, and the survey follows.
func TestAGoodbyeThatWasTerminatedIsSaid(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.asksAfterwards("line")
		kenta := k.as("kaiwa-dev-kenta")
		for _, by := range []string{"the reconciler", "the customer"} {
			emma := k.newCustomer("Emma")
			id := emma.asksForAPerson()
			kenta.does("pick", id, nil)
			emma.isQuiet()
			for _, endpoint := range []string{"reply", "push"} {
				k.fault(linesim.Fault{Kind: linesim.FaultRateLimit, Endpoint: endpoint})
			}
			status, said := kenta.says(id, "goodbye")
			require.Contains(t, stored, status, said)
			kenta.does("end", id, nil)
			kenta.does("wrap-up", id, nil)
			k.eventually(emma.sends, "the goodbye is on its way")
			require.NoError(t, k.Temporal.TerminateWorkflow(t.Context(), emma.workflowID(), "", "an operator's hand slipped"))
			k.Sim.ResetFaults()
			if by == "the customer" {
				emma.writes("hello again")
			} else {
				r := k.finds(true, func(r reconcile.Report) bool { return r.Unsaid.Count > 0 })
				require.Equal(t, []string{id}, r.Unsaid.IDs)
			}
			asked := func() int {
				return slices.IndexFunc(emma.reads(), func(s string) bool { return strings.HasPrefix(s, "Satisfied?") })
			}
			k.eventually(func() bool { return asked() >= 0 }, "the survey follows, by %s", by)
			require.Equal(t, 1, countOf(emma.reads(), "goodbye"))
			require.Less(t, slices.Index(emma.reads(), "goodbye"), asked())
			emma.isQuiet()
			emma.allAccepted()
			k.finds(false, reconcile.Report.Healthy)
			convs := emma.conversations()
			require.Equal(t, conversation.ReasonAgentEnded, convs[0].ClosureReason)
			if by == "the customer" {
				require.Len(t, convs, 2)
				require.Contains(t, emma.reads(), "welcome")
			}
		}
	})
}

func countOf(list []string, what string) (n int) {
	for _, s := range list {
		if s == what {
			n++
		}
	}
	return n
}
