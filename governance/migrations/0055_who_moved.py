"""Another cause of a small review: who answers for an agent has another manager. Words alone; no row changes."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('governance', '0054_spot_checks'),
    ]

    operations = [
        migrations.AlterField(
            model_name='reviewtrigger',
            name='kind',
            field=models.CharField(choices=[('combination', 'Holds what nobody may hold together'), ('tool_changed', 'A tool it uses changed'), ('irreversible_use', 'First use of a tool that cannot be undone'), ('leaver', 'Who answers for it left'), ('delegate_left', 'Somebody it acts for left'), ('dormant', 'Nobody uses it'), ('by_rule', 'Approved by a rule a week ago'), ('agent_changed', 'The agent itself changed'), ('reach_grew', 'It can do much more than before'), ('denials', 'Many calls were denied'), ('new_office', 'Somebody new answers for it'), ('moved', 'Who answers for it has another manager'), ('ends_soon', 'Access ends soon'), ('spot_check', 'A spot check would keep less')], max_length=24),
        ),
    ]
