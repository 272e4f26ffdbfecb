package pipeline

import "damson/internal/diag"

// Model declares what to learn: an algorithm, the columns, how to judge it, and what must hold before it goes live.
type Model struct {
	Name      string        `json:"name"`
	Forest    *RandomForest `json:"random_forest,omitempty"`
	ID        string        `json:"id"`      // column that names a row
	Target    string        `json:"target"`  // column to predict
	Exclude   []string      `json:"exclude"` // columns that are neither features nor ID nor Target
	Split     Holdout       `json:"split"`
	Folds     *Folds        `json:"cross_validation,omitempty"`
	Segment   string        `json:"segment,omitempty"` // column whose equal values are also judged as one, by mean probability
	Weight    string        `json:"weight,omitempty"`  // column of row weights for weighted metrics, for example seconds
	Threshold float64       `json:"threshold"`         // probability from which a row is predicted positive; 0.5 by default
	Gates     []string      `json:"gates,omitempty"`   // "auc >= 0.85", "auc >= champion.auc - 0.01"
	Approval  string        `json:"approval"`          // "none" or "required"
	At        diag.Pos      `json:"at"`
}

// RandomForest has MADlib's parameters under today's names.
type RandomForest struct {
	Trees            int `json:"trees"`
	MaxDepth         int `json:"max_depth"`
	FeaturesPerSplit int `json:"features_per_split"` // 0 = square root of their number
	MinSplit         int `json:"min_split"`          // rows a node needs to be split
	MinLeaf          int `json:"min_leaf"`           // rows a leaf keeps
	Bins             int `json:"bins"`               // of a continuous feature, 2 to 255
}

// Holdout keeps a share of the groups away from training: all rows with the same value of By stand on the same side.
type Holdout struct {
	Test float64 `json:"test"` // share of the groups, 0 < Test < 1
	By   string  `json:"by"`   // column; "" = every row for itself
	Seed int64   `json:"seed"`
}

// Folds asks for cross-validation by group next to the held-out evaluation.
type Folds struct {
	K    int    `json:"k"`
	By   string `json:"by"`
	Seed int64  `json:"seed"`
}
