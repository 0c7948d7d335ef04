// Studio, as a widget of its own.

export function mount(host, data, tell) {
  const stage = open(host);
  openStudio(stage, data, { tell });
  return stage.close;
}
