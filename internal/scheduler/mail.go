package scheduler

import (
	"context"
	"fmt"
	"slices"
	"time"

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
		var failed error
		switch m.Kind {
		case msgOutcome:
			err = read(m, func(o outcome) { l.takeOutcome(ctx, m, o) })
		case msgCensus:
			err = read(m, func(c census) { l.takeCensus(ctx, m.Sender, c) })
		case MsgRequest:
			err = read(m, func(r Request) { failed = l.answer(ctx, m, r) })
		default:
			err = fmt.Errorf("no leader understands %q", m.Kind)
		}
		if failed != nil {
			return failed
		}
		if err != nil {
			l.log.Warn("a message could not be read", "kind", m.Kind, "from", m.Sender, "error", err)
		}
		l.dealtWith(m)
	}
	return nil
}

// dealtWith has a message deleted with the next record.
func (l *leader) dealtWith(m store.Message) {
	if !l.done[m.ID] {
		l.done[m.ID] = true
		l.loop.Batch().Done = append(l.loop.Batch().Done, m.ID)
	}
}

// takeOutcome takes in what an execution came to. One that this leader has not taken over yet, it takes over now; one that
// nobody waits for any more is of an attempt that was given up.
func (l *leader) takeOutcome(ctx context.Context, m store.Message, o outcome) {
	if len(o.Claims) == 0 {
		return
	}
	if l.crew.members[m.Sender] == nil {
		l.crew.members[m.Sender] = &member{Process: store.Process{ID: m.Sender}, changed: l.clock.Now()}
	}
	if o.Interrupted { // it is about to end
		l.crew.members[m.Sender].Slots = 0
	}
	l.adopt(ctx, m.Sender, o.Claims)
	l.loop.Finish(o.Claims, o.ended())
}

// adopt takes over an execution of a process, unless nobody wants it any more.
func (l *leader) adopt(ctx context.Context, process string, claims []run.Claim) bool {
	if !l.loop.Adopt(ctx, process, claims) {
		return false
	}
	l.crew.members[process].used++
	return true
}

// ask asks a process what it executes.
func (l *leader) ask(id string) {
	l.crew.members[id].asked = l.clock.Now()
	l.loop.Batch().Send = append(l.loop.Batch().Send, message(id, l.o.ID, msgCensus, census{Token: l.lease.Token}, l.clock.Now()))
}

// askAgain asks those that have not answered: the answer may be lost.
func (l *leader) askAgain() {
	for _, id := range sortedKeys(l.crew.members) {
		if m := l.crew.members[id]; !m.gone && !m.counted && !m.asked.IsZero() && l.clock.Now().Sub(m.asked) >= 5*tick {
			l.ask(id)
		}
	}
}

// takeCensus takes over what a process executes, and has it stop what nobody waits for.
func (l *leader) takeCensus(ctx context.Context, process string, c census) {
	m := l.crew.members[process]
	if c.Token != l.lease.Token || m == nil || m.gone {
		return
	}
	for _, claims := range c.Executing {
		if l.loop.Executes(claims[0]) || l.adopt(ctx, process, claims) {
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
		if !m.gone && !m.counted && !m.asked.IsZero() {
			return
		}
	}
	l.counting = false
	if n := l.loop.Recover(ctx); n > 0 {
		l.log.Info("work of processes that are gone is taken up again", "tasks", n)
	}
}

// tidy is how long what nobody reads stays in the store.
const tidy = 10 * time.Minute

// clean strikes off processes that are gone for long, and drops messages for those that are not there: processes that died,
// commands that wait no more. How long that is, this process's clock tells alone.
func (l *leader) clean(ctx context.Context) error {
	now := l.clock.Now()
	for _, id := range sortedKeys(l.crew.members) {
		if m := l.crew.members[id]; m.gone && now.Sub(m.changed) > tidy {
			if err := l.store.Unregister(ctx, id); err != nil {
				return err
			}
		}
	}
	waiting, err := l.store.Recipients(ctx)
	if err != nil {
		return err
	}
	for id := range l.unread {
		if !slices.Contains(waiting, id) {
			delete(l.unread, id)
		}
	}
	for _, id := range waiting {
		m := l.crew.members[id]
		switch since, seen := l.unread[id]; {
		case id == Leader, m != nil && !m.gone:
		case !seen:
			l.unread[id] = now
		case now.Sub(since) > tidy:
			if err := l.dropMail(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropMail has what waits for a recipient deleted with the next record.
func (l *leader) dropMail(ctx context.Context, recipient string) error {
	messages, err := l.store.Receive(ctx, recipient, 0)
	for _, m := range messages {
		l.dealtWith(m)
	}
	return err
}
