package store

import (
	"context"
	"fmt"
)

// receiveLimit bounds what Receive gives at once.
const receiveLimit = 1000

var messageRows = newInsertion("messages", "recipient, sender, kind, body, at", "")

// Send stores messages, in this order. Their recipients are woken.
func (s *Store) Send(ctx context.Context, messages ...Message) error {
	if len(messages) == 0 {
		return nil
	}
	return s.write(ctx, func(ses *session) error { return ses.send(messages) })
}

func (ses *session) send(messages []Message) error {
	if len(messages) == 0 {
		return nil
	}
	err := ses.insert(messageRows, len(messages), func(args []any, i int) []any {
		m := &messages[i]
		return append(args, m.Recipient, m.Sender, m.Kind, m.Body, m.At.UnixMicro())
	})
	if notify := ses.s.db.Dialect().Notify; err == nil && notify != "" {
		err = ses.later(nil, notify)
	}
	if err != nil {
		return fmt.Errorf("sending %d messages to %s: %w", len(messages), messages[0].Recipient, err)
	}
	ses.sent = true
	return nil
}

// Receive lists a recipient's messages with an ID above after, in the order of their IDs, at most 1,000.
//
// An ID is given when a message is written, not when it is committed. With several senders on PostgreSQL a message can
// therefore appear after one with a higher ID. A recipient that drops what it has dealt with and always reads from 0,
// remembering the IDs that it has in hand, misses nothing; one that reads from the highest ID seen may.
func (s *Store) Receive(ctx context.Context, recipient string, after int64) ([]Message, error) {
	return list(ctx, s, "messages", func(scan scanner) (m Message, err error) {
		var at int64
		err = scan(&m.ID, &m.Recipient, &m.Sender, &m.Kind, &m.Body, &at)
		m.At = fromMicros(at)
		return m, err
	}, `SELECT id, recipient, sender, kind, body, at FROM messages WHERE recipient = ? AND id > ? ORDER BY id LIMIT ?`,
		recipient, after, receiveLimit)
}

// Recipients lists those for whom messages wait.
func (s *Store) Recipients(ctx context.Context) ([]string, error) {
	return list(ctx, s, "recipients of messages", func(scan scanner) (name string, err error) {
		return name, scan(&name)
	}, `SELECT DISTINCT recipient FROM messages ORDER BY recipient`)
}

// Drop deletes messages; those that are not there are no error.
func (s *Store) Drop(ctx context.Context, ids ...int64) error {
	if len(ids) == 0 {
		return nil
	}
	return s.write(ctx, func(ses *session) error { return ses.dropMessages(ids) })
}

func (ses *session) dropMessages(ids []int64) error {
	for _, id := range ids {
		if err := ses.later(nil, `DELETE FROM messages WHERE id = ?`, id); err != nil {
			return fmt.Errorf("dropping message %d: %w", id, err)
		}
	}
	return nil
}
