"""The posture report: the figures of the company and of each department, kept by month, as page, API and PDF."""
