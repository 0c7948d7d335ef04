// Studio, as a widget of its own.

export function mount(host, data) {
  const stage = open(host);
  openStudio(stage, data);
  return stage.close;
}

export default { render: ({ model, el }) => mount(el, model.get("data")) };
