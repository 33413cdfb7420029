"""What every figure is computed from: panels of Answers, who may be compared, tables to show."""
