"""From a small labelled sample to the expected error of every label: `fit` needs scikit-learn, `expected` applies what it made."""
