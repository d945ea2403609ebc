"""Models have the names that the vocabulary gives; their tables keep theirs, so nothing changes in the database."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Rename models, and the way from an agent to its exceptions, in the state alone."""

    dependencies: ClassVar = [("governance", "0001_squashed"), ("entitlements", "0002_models_by_the_vocabulary")]
    operations: ClassVar = [migrations.SeparateDatabaseAndState(state_operations=[
        migrations.AlterModelTable(name="adoptionbatch", table="governance_adoptionbatch"),
        migrations.RenameModel(old_name="AdoptionBatch", new_name="OnboardingBatch"),
        migrations.AlterModelTable(name="adoptedagent", table="governance_adoptedagent"),
        migrations.RenameModel(old_name="AdoptedAgent", new_name="OnboardedAgent"),
        migrations.AlterModelTable(name="seenaccess", table="governance_seenaccess"),
        migrations.RenameModel(old_name="SeenAccess", new_name="ExistingAccess"),
        migrations.AlterModelTable(name="approvalrule", table="governance_approvalrule"),
        migrations.RenameModel(old_name="ApprovalRule", new_name="AutoApprovalRule"),
        migrations.AlterModelTable(name="ruleapproval", table="governance_ruleapproval"),
        migrations.RenameModel(old_name="RuleApproval", new_name="AutoApproval"),
        migrations.AlterModelTable(name="combinationrule", table="governance_combinationrule"),
        migrations.RenameModel(old_name="CombinationRule", new_name="SodPolicy"),
        migrations.AlterModelTable(name="combinationexception", table="governance_combinationexception"),
        migrations.RenameModel(old_name="CombinationException", new_name="SodException"),
        migrations.AlterModelTable(name="delegation", table="governance_delegation"),
        migrations.RenameModel(old_name="Delegation", new_name="OutOfOfficeDelegate"),
        migrations.AlterModelTable(name="emergencygrant", table="governance_emergencygrant"),
        migrations.RenameModel(old_name="EmergencyGrant", new_name="BreakGlassGrant"),
        migrations.AlterModelTable(name="officeproposal", table="governance_officeproposal"),
        migrations.RenameModel(old_name="OfficeProposal", new_name="OwnershipProposal"),
        migrations.AlterModelTable(name="removalexception", table="governance_removalexception"),
        migrations.RenameModel(old_name="RemovalException", new_name="RemediationException"),
        migrations.AlterModelTable(name="spotplan", table="governance_spotplan"),
        migrations.RenameModel(old_name="SpotPlan", new_name="SpotCheckPlan"),
        migrations.AlterModelTable(name="takenback", table="governance_takenback"),
        migrations.RenameModel(old_name="TakenBack", new_name="RecalledDecision"),
        migrations.AlterField(
            model_name="sodexception",
            name="agent",
            field=models.ForeignKey(on_delete=models.PROTECT, related_name="sod_exceptions", to="entitlements.agent"),
        ),
    ])]
