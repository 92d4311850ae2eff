package app

import "github.com/consentstream/consentstream/pipeline"

// Lanes is an enforcer that is not run, for looking at lanes and resetting them:
// neither asks for consent states, so no store is opened.
func (a *App) Lanes() (*pipeline.Enforcer, error) { return a.enforcer(&lateStore{app: a}) }
