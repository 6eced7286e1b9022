"""The stations between a stored delivery and GitHub's answer: intake, launch, watch, collect, report.

Each reads rows and writes rows; none calls the next. A test runs one by its `tick()`, the loop runs all by a timer.
"""
