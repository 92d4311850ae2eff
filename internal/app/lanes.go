package app

import "github.com/consentstream/consentstream/pipeline"

// Lanes is an enforcer that is not run, for looking at lanes and resetting them: no
// consent state is asked for. A reset asks the store for its time; that connection
// lasts until the process ends.
func (a *App) Lanes() (*pipeline.Enforcer, error) { return a.enforcer(&lateStore{app: a}) }
