"""What `experiment-ci doctor` says about GitHub: each finding with the cure. Nothing here raises for what it finds."""

from bot.forge.diagnosis.app import diagnose
from bot.forge.diagnosis.branch_rule import branch_rules
from bot.forge.diagnosis.finding import Finding
from bot.forge.diagnosis.webhook import deliveries, webhook

__all__ = ["Finding", "branch_rules", "deliveries", "diagnose", "webhook"]
