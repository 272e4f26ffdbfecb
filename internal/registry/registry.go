// Package registry judges trained models and moves their versions between states: candidate, champion, retired,
// rejected. Its central type is Registry, which works on a Store that keeps the versions.
//
// Invariants:
//  1. A version never changes after it was registered, except its state and who decided it, why and when.
//  2. A model has at most one champion, and it changes in one transaction of the store.
//  3. A version becomes champion without a person only when every gate passed and the model asks for no approval.
//
// The package neither trains nor scores, and never deletes a version.
package registry
