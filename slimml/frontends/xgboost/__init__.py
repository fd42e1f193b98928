"""XGBoost's estimators and Boosters, version 3.2 as the original; what earlier releases wrote is read likewise."""
