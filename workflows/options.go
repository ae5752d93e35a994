package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"kaiwa/internal/conversation"
)

// Every activity of every workflow runs with one of these presets.

const (
	// storeBudget bounds a store activity in its local form, tries included:
	// new signals wait while it runs, and the workflow task lives five seconds.
	storeBudget = 3 * time.Second
	// storeAttempt bounds one try of a store activity in its regular form.
	storeAttempt = 10 * time.Second
	// profileBudget bounds how long a first answer waits for a name.
	profileBudget = 3 * time.Second
	// refreshBudget bounds all attempts at a name that is known.
	refreshBudget = time.Minute
	// sendAttempt bounds one run of the lane: it works for 15 s, and a call to
	// LINE may take ten more.
	sendAttempt = 30 * time.Second
	// errandBudget bounds all attempts at what is done in a chat beside its
	// conversations.
	errandBudget = 24 * time.Hour
	// liveness is how soon a worker that died in the middle of an activity is
	// missed: the worker reports for its activities while they run.
	liveness = 5 * time.Second
	// mediaAttempt bounds one attempt at a file: LINE's largest have 200 MB.
	mediaAttempt = 15 * time.Minute
	// mediaBudget bounds all attempts: longer than the activity tries by itself,
	// for the case that no worker serves its queue.
	mediaBudget = time.Hour
	// matchAttempt bounds one look of the dispatcher, and matchLiveness how soon
	// a worker that died in one is missed: everybody who waits does so meanwhile.
	matchAttempt  = 3 * time.Second
	matchLiveness = 2 * time.Second
	// turnSlack is what a bot's turn may take beside the bot's own deadline.
	turnSlack = 5 * time.Second
	// classifySlack is what asking the services that classify may take beside
	// their own deadlines, and classifyLiveness how soon a worker that died while
	// it asked is missed: the customer waits meanwhile. classifyBudget bounds all
	// of it, for the case that no worker is there.
	classifySlack    = 2 * time.Second
	classifyLiveness = 2 * time.Second
	classifyBudget   = 30 * time.Second
)

// localStore is a step in Kaiwa's own database: local, because it costs one
// event instead of three and a task.
func localStore(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: storeBudget,
		StartToCloseTimeout:    storeBudget,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, BackoffCoefficient: 3, MaximumAttempts: 3},
		Summary:                summary,
	})
}

// patientStore is the same step when the local form did not come through: the
// database is away. The server retries it without limit and writes no history
// while it does. The intervals stay short, for the same reason as the lane's.
func patientStore(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           conversation.QueueStore,
		StartToCloseTimeout: storeAttempt,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 1.5, MaximumInterval: 3 * time.Second},
		Summary:             summary,
	})
}

// profileLookup is a courtesy: the answer does not wait for it longer than
// people would.
func profileLookup(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              conversation.QueueLINE,
		StartToCloseTimeout:    profileBudget,
		ScheduleToCloseTimeout: profileBudget,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 300 * time.Millisecond, MaximumAttempts: 3},
		Summary:                "ask LINE for the customer's name",
	})
}

// refreshPause is how long LINE is left alone about people who are known, though
// what it told is older than the workstream wants.
const refreshPause = time.Minute

// profileRefresh is not waited for by anybody.
func profileRefresh(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              conversation.QueueLINE,
		StartToCloseTimeout:    sendAttempt,
		ScheduleToCloseTimeout: refreshBudget,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 4, MaximumAttempts: 3},
		Summary:                "ask LINE for the customer's name anew",
	})
}

// errands are retried for as long as it makes sense to leave a group; what
// remains is begun again when something happens in the chat.
func errands(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              conversation.QueueLINE,
		StartToCloseTimeout:    sendAttempt,
		HeartbeatTimeout:       liveness,
		ScheduleToCloseTimeout: errandBudget,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: time.Minute},
		Summary:                "do what is due in the chat",
	})
}

// richMenu has LINE show a menu. The activity gives it up itself while LINE has
// trouble; a database that is away is waited for.
func richMenu(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              conversation.QueueLINE,
		StartToCloseTimeout:    sendAttempt,
		HeartbeatTimeout:       liveness,
		ScheduleToCloseTimeout: errandBudget,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second},
		Summary:                "show the customer another rich menu",
	})
}

// quickLookup is profileLookup within the task at hand, while LINE is quick.
func quickLookup(ctx workflow.Context) workflow.Context {
	return withinTask(ctx, profileBudget, "ask LINE for the customer's name")
}

// lane brings messages to LINE. Its retries have no limit: each batch has a
// deadline of its own in the database, so nothing is tried for ever. How long to
// wait for LINE the activity says; these intervals are for a database that is
// away, and stay short because a reply that nobody knows the end of can be asked
// about only while its token lives.
func lane(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           conversation.QueueConversations,
		StartToCloseTimeout: sendAttempt,
		HeartbeatTimeout:    liveness,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 3 * time.Second},
		Summary:             "send what waits to LINE",
	})
}

// quickLane is the same within the task at hand. What it leaves, or fails at, is
// for the other form.
func quickLane(ctx workflow.Context) workflow.Context {
	return withinTask(ctx, sendAttempt, "send what waits to LINE")
}

// withinTask is a call to LINE that is made once, as a local activity.
func withinTask(ctx workflow.Context, budget time.Duration, summary string) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: budget,
		StartToCloseTimeout:    budget,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
		Summary:                summary,
	})
}

// turn asks a bot that is a service of its own. A worker that dies while it
// asks is replaced once; the customer does not wait for a third.
func turn(ctx workflow.Context, deadline time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              conversation.QueueBots,
		StartToCloseTimeout:    deadline + turnSlack,
		HeartbeatTimeout:       liveness,
		ScheduleToCloseTimeout: 3 * (deadline + turnSlack),
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 300 * time.Millisecond, MaximumAttempts: 3},
		Summary:                "ask the bot",
	})
}

// classification asks the services that classify. A worker that dies while it
// asks is replaced once.
func classification(ctx workflow.Context, deadline time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              conversation.QueueBots,
		StartToCloseTimeout:    deadline + classifySlack,
		HeartbeatTimeout:       classifyLiveness,
		ScheduleToCloseTimeout: classifyBudget,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, MaximumAttempts: 2},
		Summary:                "ask what it is about",
	})
}

// media fetches a file. What LINE does not have ready is tried again without
// limit, since the activity knows when it is too late.
func media(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              conversation.QueueMedia,
		StartToCloseTimeout:    mediaAttempt,
		HeartbeatTimeout:       liveness,
		ScheduleToCloseTimeout: mediaBudget,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second},
		Summary:                "fetch a file",
	})
}

// matching looks who waits and who is free. It is retried until it comes
// through; an attempt that was given up changes nothing any more.
func matching(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           conversation.QueueRouting,
		StartToCloseTimeout: matchAttempt,
		HeartbeatTimeout:    matchLiveness,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 5 * time.Second},
		Summary:             "look who waits and who is free",
	})
}
