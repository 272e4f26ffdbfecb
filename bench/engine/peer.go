package main

import "context"

func (b *bench) peer(ctx context.Context) error { return nil }
