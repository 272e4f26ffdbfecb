package scheduler

import (
	"context"
	"fmt"

	"damson/internal/run"
	"damson/internal/store"
)

// readMail deals with what processes and commands tell the leader. A message is deleted in the transaction of its effect.
func (l *leader) readMail(ctx context.Context) error {
	messages, err := l.store.Receive(ctx, Leader, 0)
	if err != nil {
		return err
	}
	for _, m := range messages {
		if l.done[m.ID] {
			continue
		}
		switch m.Kind {
		case msgOutcome:
			err = read(m, func(o outcome) { l.takeOutcome(ctx, m, o) })
		case msgCensus:
			err = read(m, func(c census) { l.takeCensus(ctx, m.Sender, c) })
		case MsgRequest:
			err = read(m, func(r Request) { l.answer(ctx, m.Sender, r) })
		default:
			err = fmt.Errorf("no leader understands %q", m.Kind)
		}
		if err != nil {
			l.log.Warn("a message could not be read", "kind", m.Kind, "from", m.Sender, "error", err)
		}
		l.done[m.ID] = true
		l.loop.Batch().Done = append(l.loop.Batch().Done, m.ID)
	}
	return nil
}

// takeOutcome hands in what an execution came to. One that this leader has not taken over yet, it takes over now.
func (l *leader) takeOutcome(ctx context.Context, m store.Message, o outcome) {
	if len(o.Claims) == 0 {
		return
	}
	if l.crew.members[m.Sender] == nil {
		l.crew.members[m.Sender] = &member{Process: store.Process{ID: m.Sender}, changed: l.clock.Now()}
	}
	if !l.crew.outcome(o) && l.adopt(ctx, m.Sender, o.Claims) {
		l.crew.outcome(o)
	}
}

// adopt takes over an execution of a process, unless nobody wants it any more.
func (l *leader) adopt(ctx context.Context, process string, claims []run.Claim) bool {
	m := l.crew.members[process]
	if m == nil || !l.loop.Adopt(ctx, process, claims) {
		return false
	}
	m.used++
	return true
}

// takeCensus takes over what a process executes.
func (l *leader) takeCensus(ctx context.Context, process string, c census) {
	m := l.crew.members[process]
	if c.Token != l.lease.Token || m == nil {
		return
	}
	for _, claims := range c.Executing {
		if _, known := l.crew.ends[key(claims[0])]; known || l.adopt(ctx, process, claims) {
			continue
		}
		what := message(process, l.o.ID, msgCancel, cancellation{Claim: claims[0], Why: "nobody waits for this work any more"}, l.clock.Now())
		l.loop.Batch().Send = append(l.loop.Batch().Send, what)
	}
	m.counted = true
	l.completeCensus(ctx)
}

// completeCensus has what nobody executes recovered, once all processes that live have answered.
func (l *leader) completeCensus(ctx context.Context) {
	if !l.counting {
		return
	}
	for _, m := range l.crew.members {
		if m.asked && !m.counted {
			return
		}
	}
	l.counting = false
	if n := l.loop.Recover(ctx); n > 0 {
		l.log.Info("work of processes that are gone is taken up again", "tasks", n)
	}
}
