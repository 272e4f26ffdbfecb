package main

import "context"

func (b *bench) starts(ctx context.Context) error { return nil }
func (b *bench) million(ctx context.Context) error { return nil }
func (b *bench) peer(ctx context.Context) error { return nil }
