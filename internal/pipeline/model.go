package pipeline

import "damson/internal/diag"

// Model declares what to learn: an algorithm, the columns, how to judge it, and what must hold before it goes live.
type Model struct {
	Name string `json:"name"`
	Algorithm
	Search    *Search  `json:"search,omitempty"` // for parameters of the algorithm, which then has the first of their values
	ID        string   `json:"id"`               // column that names a row
	Target    string   `json:"target"`           // column to predict; a clustering is only compared with it, and it may be ""
	Exclude   []string `json:"exclude"`          // columns that are neither features nor ID nor Target
	Split     Holdout  `json:"split"`
	Folds     *Folds   `json:"cross_validation,omitempty"`
	Segment   string   `json:"segment,omitempty"`   // column whose equal values are also judged as one, by mean probability
	Weight    string   `json:"weight,omitempty"`    // column of row weights for weighted metrics, for example seconds
	Threshold float64  `json:"threshold"`           // of two classes: probability from which a row is predicted to be of the second; 0.5 by default
	Gates     []string `json:"gates,omitempty"`     // "auc >= 0.85", "auc >= champion.auc - 0.01"
	Approval  string   `json:"approval"`            // "none" or "required"
	DataStays bool     `json:"data_stays,omitzero"` // it is trained in the database, which gives no training row away
	At        diag.Pos `json:"at"`
}

// Algorithm is how to learn, with its parameters: exactly one is set. Whether classes or numbers are learned, and how many
// classes, is not declared: the target's values say it.
type Algorithm struct {
	Forest   *RandomForest       `json:"random_forest,omitempty"`
	Tree     *DecisionTree       `json:"decision_tree,omitempty"`
	Boosting *GradientBoosting   `json:"gradient_boosting,omitempty"`
	Logistic *LogisticRegression `json:"logistic_regression,omitempty"`
	Linear   *LinearRegression   `json:"linear_regression,omitempty"`
	KMeans   *KMeans             `json:"k_means,omitempty"`
}

// Name is the algorithm's in pipeline files and in versions; "" when none is set.
func (a Algorithm) Name() string {
	switch {
	case a.Forest != nil:
		return "random_forest"
	case a.Tree != nil:
		return "decision_tree"
	case a.Boosting != nil:
		return "gradient_boosting"
	case a.Logistic != nil:
		return "logistic_regression"
	case a.Linear != nil:
		return "linear_regression"
	case a.KMeans != nil:
		return "k_means"
	}
	return ""
}

// ClassWeight is the algorithm's, nil when rows of all classes count alike.
func (a Algorithm) ClassWeight() *ClassWeight {
	switch {
	case a.Forest != nil:
		return a.Forest.ClassWeight
	case a.Tree != nil:
		return a.Tree.ClassWeight
	case a.Boosting != nil:
		return a.Boosting.ClassWeight
	case a.Logistic != nil:
		return a.Logistic.ClassWeight
	}
	return nil
}

// ClassWeight is how much rows of a class count in training. Classes that Weights does not name count 1.
type ClassWeight struct {
	Balanced bool               `json:"balanced,omitzero"` // n / (classes × n of the class), so that all classes weigh alike
	Weights  map[string]float64 `json:"weights,omitempty"`
}

// LogisticRegression has scikit-learn's names. Columns are standardised.
type LogisticRegression struct {
	C           float64      `json:"c"`        // inverse of the penalty, above 0; 0 = no penalty
	L1Ratio     float64      `json:"l1_ratio"` // share of L1 in the penalty, 0 (ridge) to 1 (lasso)
	ClassWeight *ClassWeight `json:"class_weight,omitempty"`
	Fit
}

// LinearRegression has the names of scikit-learn's ElasticNet. Columns are standardised.
type LinearRegression struct {
	Alpha   float64 `json:"alpha"`    // the penalty; 0 = none: ordinary least squares
	L1Ratio float64 `json:"l1_ratio"` // share of L1 in the penalty, 0 (ridge) to 1 (lasso)
	Fit
}

// Fit is what linear models have in common.
type Fit struct {
	MaxIterations     int     `json:"max_iter"`
	Tolerance         float64 `json:"tol"`
	MissingIndicators bool    `json:"missing_indicators,omitzero"` // a column of its own says that a value is missing
	MaxLevels         int     `json:"max_levels"`                  // of a text feature, the most frequent ones
}

// KMeans has the names of scikit-learn's KMeans, whose n_clusters is K.
type KMeans struct {
	K             int     `json:"k"`
	Init          string  `json:"init"`     // how first centres are chosen: "k-means++" or "random"
	Inits         int     `json:"n_init"`   // so many times from other centres, of which the best is kept
	MaxIterations int     `json:"max_iter"` // of one time
	Tolerance     float64 `json:"tol"`
	Standardise   bool    `json:"standardise"` // distances are measured in standard deviations of each feature
}

// RandomForest has MADlib's parameters under today's names.
type RandomForest struct {
	Trees            int `json:"trees"`
	MaxDepth         int `json:"max_depth"`
	FeaturesPerSplit int `json:"features_per_split"` // 0 = square root of their number
	MinSplit         int `json:"min_split"`          // rows a node needs to be split
	MinLeaf          int `json:"min_leaf"`           // rows a leaf keeps
	Bins             int `json:"bins"`               // of a continuous feature, 2 to 255

	ClassWeight *ClassWeight `json:"class_weight,omitempty"`
}

// DecisionTree is a single tree over all rows and features.
type DecisionTree struct {
	MaxDepth    int          `json:"max_depth"`
	MinSplit    int          `json:"min_split"` // rows a node needs to be split
	MinLeaf     int          `json:"min_leaf"`  // rows a leaf keeps
	MinGain     float64      `json:"min_gain"`  // decrease of impurity that a split needs, times the node's share of the rows
	Alpha       float64      `json:"alpha"`     // prunes: what a leaf costs in impurity (scikit-learn: ccp_alpha)
	Bins        int          `json:"bins"`      // of a continuous feature, 2 to 255
	ClassWeight *ClassWeight `json:"class_weight,omitempty"`
}

// GradientBoosting is trees that correct each other, grown leaf by leaf.
type GradientBoosting struct {
	Rounds        int          `json:"rounds"`
	LearningRate  float64      `json:"learning_rate"`
	MaxLeaves     int          `json:"max_leaves"` // of a tree
	MaxDepth      int          `json:"max_depth"`
	MinLeaf       int          `json:"min_leaf"`       // rows a leaf keeps
	MinHessian    float64      `json:"min_hessian"`    // sum of second derivatives that a leaf keeps
	L2            float64      `json:"l2"`             // added to the sum of second derivatives
	MinGain       float64      `json:"min_gain"`       // that a split needs
	Bins          int          `json:"bins"`           // of a continuous feature, 2 to 255
	RowShare      float64      `json:"row_share"`      // of the rows, drawn anew for each round
	FeatureShare  float64      `json:"feature_share"`  // of the features, drawn anew for each tree
	EarlyStopping int          `json:"early_stopping"` // rounds without progress on the rows set aside after which to stop; 0 = never
	SetAside      float64      `json:"set_aside"`      // share of the training side's groups to stop early by
	ClassWeight   *ClassWeight `json:"class_weight,omitempty"`
}

// Holdout keeps a share of the groups away from training: all rows with the same value of By stand on the same side.
type Holdout struct {
	Test float64 `json:"test"` // share of the groups, 0 < Test < 1
	By   string  `json:"by"`   // column; "" = every row for itself
	Seed int64   `json:"seed"`
	Time string  `json:"time,omitempty"` // column of dates or times; without By, the last ones are held out
}

// Folds asks for cross-validation by group next to the held-out evaluation.
type Folds struct {
	K    int    `json:"k"`
	By   string `json:"by"`
	Seed int64  `json:"seed"`
}
