# Runs on the head, which has no processor for Ray's tasks: DVC here, the training on the workers.
# REPOSITORY, MLFLOW_TRACKING_URI and the store's account come from the secret digitline-training.
set -eu
git clone --quiet "$REPOSITORY" /scratch/digitline
cd /scratch/digitline
dvc pull --allow-missing --quiet
RAY_ADDRESS=auto digitline run
dvc push --quiet
git add --all
git -c user.name=digitline -c user.email=digitline@localhost commit --quiet --message "Trained on the cluster" || exit 0
git push --quiet origin HEAD:trained
