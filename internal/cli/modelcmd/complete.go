package modelcmd

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"damson/internal/cli/console"
	"damson/internal/model"
	"damson/internal/registry"
)

// completeVersions offers MODEL [VERSION …], or MODEL@VERSION once there is a @.
func (a *app) completeVersions(most int) console.Completion {
	return console.Offer(func(ctx context.Context, args []string, word string) []string {
		if len(args) > most {
			return nil
		}
		if len(args) > 0 {
			name, _, _ := strings.Cut(args[0], "@")
			return a.versionWords(ctx, name)
		}
		name, _, at := strings.Cut(word, "@")
		if !at {
			return a.modelNames(ctx)
		}
		words := a.versionWords(ctx, name)
		for i := range words {
			words[i] = name + "@" + words[i]
		}
		return words
	})
}

// completeModel offers models as the only argument.
func (a *app) completeModel() console.Completion { return a.completeVersions(0) }

// completeAlias offers MODEL ALIAS and then, as far as most arguments go, versions.
func (a *app) completeAlias(most int) console.Completion {
	return console.Offer(func(ctx context.Context, args []string, _ string) []string {
		switch {
		case len(args) >= most:
			return nil
		case len(args) == 0:
			return a.modelNames(ctx)
		case len(args) == 1:
			return a.aliasWords(ctx, args[0])
		}
		return a.versionWords(ctx, args[0])
	})
}

// modelNames are the models that have versions.
func (a *app) modelNames(ctx context.Context) (names []string) {
	for _, v := range a.recordedVersions(ctx, "") {
		if !slices.Contains(names, v.Model) {
			names = append(names, v.Model)
		}
	}
	return names
}

// versionWords are what a model's versions are called: numbers, the newest first, champion, and aliases.
func (a *app) versionWords(ctx context.Context, name string) (words []string) {
	for _, v := range a.recordedVersions(ctx, name) {
		number := strconv.Itoa(v.Number)
		words = append(words, number+"\t"+string(v.State))
		if v.State == model.Champion {
			words = append(words, string(model.Champion)+"\tversion "+number)
		}
		for _, alias := range v.Aliases {
			words = append(words, alias+"\tversion "+number)
		}
	}
	return words
}

func (a *app) aliasWords(ctx context.Context, name string) (words []string) {
	for _, v := range a.recordedVersions(ctx, name) {
		for _, alias := range v.Aliases {
			words = append(words, alias+"\tversion "+strconv.Itoa(v.Number))
		}
	}
	return words
}

func (a *app) recordedVersions(ctx context.Context, name string) (versions []model.Version) {
	a.WhatIsRecorded(ctx, func(r console.Records) (err error) {
		versions, err = registry.New(r.Store, a.Clock).List(ctx, name)
		return err
	})
	return versions
}
